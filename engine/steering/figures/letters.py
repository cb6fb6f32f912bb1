"""What an A/B record counts for, and the mean of many (CAA §5.1): p(letter of the key) / (p(A) + p(B)).

An item whose key is another letter has no such number. The original counted it as 0 and so pulled means down; here it is left
out, unless `legacy` asks for published figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any


def letter_value(record: Mapping[str, Any], legacy: bool = False) -> float | None:
    """record: `p_a`, `p_b` and the key `matching`. None: the item is left out."""
    if record["matching"] not in ("A", "B"):
        return 0.0 if legacy else None
    p_a, p_b = record["p_a"], record["p_b"]
    return (p_a if record["matching"] == "A" else p_b) / (p_a + p_b)


def letter_mean(records: Iterable[Mapping[str, Any]], legacy: bool = False) -> float:
    return fmean(value for record in records if (value := letter_value(record, legacy)) is not None)
