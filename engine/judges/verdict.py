"""What a judge is asked about, and what it says. No torch, no network: every backend and every reader shares these.

Labels that are no answer (`TIE`, `UNPARSED`, `FAILED`) are counted in every table: a mean is as good as what it leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Order = Literal["ab", "ba"]
"""Of a pair: whether the first subject was shown first (as A) or second."""

TIE = "tie"
UNPARSED = "unparsed"
"""The judge replied, and its reply is no answer to the rubric."""
FAILED = "failed"
"""The judge could not be asked, or never replied."""
NO_ANSWER = (TIE, UNPARSED, FAILED)


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to judge: an answer to a prompt, or (`order` set) two answers to it that are compared.

    `answers` is in the order of the score's subjects; `order` says how they are shown.
    """

    prompt: str
    answers: tuple[str, ...]
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`value`: on the rubric's scale; of a choice the share of its first answer; of a pair the share of subject one, whichever
    way they were shown. None for `unparsed` and `failed`. `label`: one of the rubric's labels, or a `NO_ANSWER`. `raw`: what
    the judge said, as it said it.
    """

    value: float | None
    label: str
    raw: Any


def why_failed(raw: Any) -> str:
    """What a backend says of a question that it gives as `failed`."""
    said = (raw.get("reason") or raw.get("error")) if isinstance(raw, dict) else raw
    return str(said or "the judge gave no reason").rstrip(".")
