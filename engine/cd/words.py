"""What a word of a text is, for whatever counts or compares words; and how far two findings about texts are one."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+(?:['’-]\w+)*")
"""Letters and digits, with the apostrophes and hyphens between them."""


def words(text: str) -> list[str]:
    return WORD.findall(text)


def overlap(one: set[int], other: set[int]) -> float:
    """Jaccard overlap of two sets of texts, not both empty."""
    return len(one & other) / len(one | other)
