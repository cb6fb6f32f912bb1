"""How far two judges, or two orders of one pair, say the same. Pure arithmetic; what follows from it `check` says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.judges.verdict import TIE, Order, Verdict
from engine.statistics import Share, share_of

Winner = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cohen's κ of two judges on `n` cases that both answered: 1 always the same, 0 as often as chance would have it. None
    where it is undefined: both said one and the same thing always. `same` is the share of equal verdicts."""

    kappa: float | None
    same: float
    n: int
    weights: Literal["quadratic"] | None


def agreement(one: Sequence[Verdict], other: Sequence[Verdict], ordinal: bool) -> Agreement | None:
    """Of two judges' verdicts on the same cases, in the same order. `ordinal`: numbers on a scale, rounded to whole ones and
    weighted by the square of their distance; else labels. None: there is no case that both answered."""
    both = [(a, b) for a, b in zip(one, other, strict=True) if a.value is not None and b.value is not None]
    if not both:
        return None
    pairs = [(_grade(a, ordinal), _grade(b, ordinal)) for a, b in both]
    same = sum(a == b for a, b in pairs) / len(pairs)
    weights = "quadratic" if ordinal else None
    grades: list[Any] = sorted({grade for pair in pairs for grade in pair})
    if len(grades) < 2:
        return Agreement(None, same, len(pairs), weights)
    from sklearn.metrics import cohen_kappa_score

    if ordinal:  # distances are counted in places of this list, so it must have no gaps
        grades = [*range(grades[0], grades[-1] + 1)]
    kappa = cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs], labels=grades, weights=weights)
    return Agreement(float(kappa), same, len(pairs), weights)


def winner(verdict: Verdict) -> Winner | None:
    """Of a pair's verdict, whichever way it was shown; None where there was no answer."""
    if verdict.value is None:
        return None
    if verdict.label == TIE:
        return "tie"
    return "first" if verdict.value > 0.5 else "second"


def first_shown(verdicts: Iterable[tuple[Order | None, Verdict]]) -> Share:
    """How often the answer that was shown first won, among decided pairs: of a fair judge half, over both orders."""
    decided = [(order, won) for order, verdict in verdicts if (won := winner(verdict)) in ("first", "second")]
    return share_of(sum(won == ("first" if order == "ab" else "second") for order, won in decided), len(decided))


def order_consistency(pairs: Iterable[tuple[Verdict, Verdict]]) -> Share:
    """How often the same answer wins in both orders, among pairs that were answered in both."""
    both = [(a, b) for one, other in pairs if (a := winner(one)) is not None and (b := winner(other)) is not None]
    return share_of(sum(a == b for a, b in both), len(both))


def _grade(verdict: Verdict, ordinal: bool) -> int | str:
    return round(verdict.value or 0.0) if ordinal else verdict.label
