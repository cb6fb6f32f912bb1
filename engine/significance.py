"""Whether a difference is more than chance, how large it is, and how many such claims may be made: shared by all methods.

Owns p-values, corrections for many tests, effect sizes and the scores of a guesser. What was permuted, and that it may be
exchanged, is the caller's business. How sure a mean is, is `engine.statistics`. Sources: spec contrastive_decoding §6.5, 6.6,
8.6 and what is named below. numpy and scipy are imported when there is something to compute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Alternative = Literal["greater", "less", "two-sided"]

_DECAY = 1.6  # of LOND's levels: the power that Ramdas et al. (2018) recommend for such sequences
_WORDS = ((0.2, "slightly"), (0.5, "moderately"), (0.8, "substantially"))


def permutation_p(null: ArrayLike, score: float, alternative: Alternative = "greater") -> float:
    """(k + 1) / (n + 1), where k of the n scores under the null are at least as extreme as `score`: never 0, and ties count
    for the null (Phipson & Smyth 2010). two-sided: twice the smaller tail."""
    import numpy as np

    drawn = np.asarray(null, dtype=float)
    rounding = 1e-12 * max(1.0, abs(score))  # equal scores that were added up in another order are ties
    above, below = int((drawn >= score - rounding).sum()), int((drawn <= score + rounding).sum())
    if alternative == "two-sided":
        return min(1.0, 2 * (min(above, below) + 1) / (drawn.size + 1))
    return ((above if alternative == "greater" else below) + 1) / (drawn.size + 1)


def binomial_tail(successes: int, trials: int, chance: float = 0.5) -> float:
    """P(at least so many successes). For independent trials only: pairs made of the same texts are not."""
    from scipy.stats import binom

    return float(binom.sf(successes - 1, trials, chance))


def normal_tail(accuracy: float, trials: int, chance: float = 0.5) -> float:
    """P(at least this accuracy) by the normal approximation, for independent trials."""
    from scipy.stats import norm

    return float(norm.sf((accuracy - chance) / math.sqrt(chance * (1 - chance) / trials)))


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: rejecting those up to α keeps the expected share of false ones at α."""
    if not p:
        return []
    from scipy.stats import false_discovery_control

    return [float(value) for value in false_discovery_control(list(p), method="bh")]


@dataclass(frozen=True, slots=True)
class Decision:
    p: float
    threshold: float
    rejected: bool


class Lond:
    """Control of the false discovery rate for tests that come one after the other (Javanmard & Montanari 2015): the i-th is
    rejected at β_i · (rejections so far + 1), where Σ β_i = α. Here β_i ∝ i^-1.6. Holds for independent p-values and for those
    that are positively dependent. The decisions depend on the order, so give tests in the order in which they were made."""

    def __init__(self, alpha: float = 0.05) -> None:
        from scipy.special import zeta

        self.alpha = alpha
        self.decisions: list[Decision] = []
        self._first = alpha / float(zeta(_DECAY))

    def threshold(self) -> float:
        """What the next p-value may be at most to be rejected."""
        rejected = sum(decision.rejected for decision in self.decisions)
        return min(1.0, self._first * (len(self.decisions) + 1) ** -_DECAY * (rejected + 1))

    def test(self, p: float) -> Decision:
        threshold = self.threshold()
        decision = Decision(p, threshold, p <= threshold)
        self.decisions.append(decision)
        return decision


def legacy_saffron(p: Sequence[float], alpha: float = 0.05, share: float = 0.5, memory: float = 0.5) -> list[Decision]:
    """The published rule (§6.6), for parity only: its wealth is never spent, so it does not control the rate; use `Lond`."""
    wealth, decisions = alpha, []
    for time, value in enumerate(p, start=1):
        candidates = sum(earlier >= time * (1 - memory) for earlier in range(1, time + 1))
        threshold = share * wealth / candidates
        decisions.append(Decision(value, threshold, value <= threshold))
        wealth += alpha * share * decisions[-1].rejected
    return decisions


def cohens_h(first: float, second: float) -> float:
    """Effect size of two shares: the difference of their arcsines, so that .05 against .10 is more than .50 against .55."""
    return 2 * math.asin(math.sqrt(first)) - 2 * math.asin(math.sqrt(second))


def cohens_h_words(h: float) -> str:
    """How much, in a word: slightly (below .2), moderately (.5), substantially (.8), dramatically."""
    return next((word for limit, word in _WORDS if abs(h) < limit), "dramatically")


def cliffs_delta(first: Sequence[float], second: Sequence[float]) -> float:
    """P(a > b) - P(a < b) over all pairs: 1 where every number of `first` is above every one of `second`, 0 without a
    difference. It is the rank-biserial correlation of the two groups."""
    from scipy.stats import rankdata

    n, m = len(first), len(second)
    ranks = rankdata([*first, *second])[:n]
    return float(2 * (ranks.sum() - n * (n + 1) / 2) / (n * m) - 1)


def accuracy(scores: Sequence[float], labels: Sequence[int]) -> float:
    """Share of scores on the right side of .5 for their label, 0 or 1; exactly .5 is a wrong guess."""
    right = sum(score > 0.5 if label else score < 0.5 for score, label in zip(scores, labels, strict=True))
    return right / len(scores)


def auc(scores: Sequence[float], labels: Sequence[int]) -> float:
    """P(a text of label 1 has the higher score), ties half; NaN where there is one label only."""
    ones = [score for score, label in zip(scores, labels, strict=True) if label]
    zeros = [score for score, label in zip(scores, labels, strict=True) if not label]
    return (cliffs_delta(ones, zeros) + 1) / 2 if ones and zeros else math.nan
