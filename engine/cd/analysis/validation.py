"""Whether a number tells two groups of texts apart: how well, by how much, and how surely (specs/contrastive_decoding.md §6.5).

Owns the statistic, its permutation p-value over texts and its interval over prompts. It knows no labels, judges or clusters:
what the numbers say of the texts is the caller's. A p-value is (k + 1) / (n + 1) with ties counted; of labels one-sided, since
what they claim was written down before these texts were looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.exchange import Exchange
from engine.significance import Alternative, cohens_h, cohens_h_words, permutation_p
from engine.statistics import DRAWS, LEVEL

Metric = Literal["acc", "auc"]
Numbers = NDArray[np.float64]
_BLOCK = 1 << 22  # weights at a time
CHANCE = 0.5
"""The metric of a number that tells nothing."""


@dataclass(frozen=True)
class Cases:
    """What was scored: texts one by one, or pairs of them. scores: [cases], from 0 to 1; of a pair, that the first of the two
    is the one of the positive group. first, second: [cases], positions of texts; second None: texts one by one."""

    scores: Numbers
    first: NDArray[np.intp]
    second: NDArray[np.intp] | None = None

    def sides(self, positive: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which cases should score high and which low: both [.., cases], for positive: [.., texts]. A pair within one group is
        neither."""
        one = positive[..., self.first]
        if self.second is None:
            return one, ~one
        other = positive[..., self.second]
        return one & ~other, ~one & other

    def weights(self, drawn: Numbers, units: NDArray[np.intp]) -> Numbers:
        """How often each case is there when units are: [.., cases] for drawn: [.., units], units: [texts]."""
        one = drawn[..., units[self.first]]
        if self.second is None:
            return one
        apart = units[self.first] != units[self.second]
        return np.where(apart, one * drawn[..., units[self.second]], one)


@dataclass(frozen=True, slots=True)
class Validation:
    """score: the metric; 0.5 is chance. [low, high]: its 95 % interval, prompts drawn again. p: see above. positive_rate,
    negative_rate: the share of cases of either group that score above 0.5; h: Cohen's, of these two, and in a word."""

    metric: Metric
    score: float
    low: float
    high: float
    p: float
    positives: int
    negatives: int
    units: int
    positive_rate: float
    negative_rate: float
    h: float
    size: str


def discrimination(scores: Numbers, positive: NDArray, negative: NDArray, metric: Metric) -> Numbers:
    """How well scores tell the groups apart: [..] for scores: [cases] and weights of cases in either group: [.., cases].

    acc: the share of cases on the right side of 0.5, on which is wrong. auc: the share of pairs (one case of either group) in
    the right order, ties half. NaN without cases (auc: of either group).
    """
    positive, negative = np.asarray(positive, dtype=float), np.asarray(negative, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric == "acc":
            right = positive @ (scores > CHANCE) + negative @ (scores < CHANCE)
            return right / (positive.sum(-1) + negative.sum(-1))
        order = np.argsort(scores, kind="stable")
        _, starts = np.unique(scores[order], return_index=True)
        above = np.add.reduceat(positive[..., order], starts, axis=-1)
        below = np.add.reduceat(negative[..., order], starts, axis=-1)
        lower = below.cumsum(-1) - below / 2
        return (above * lower).sum(-1) / (above.sum(-1) * below.sum(-1))


def validate(
    cases: Cases,
    positive: NDArray[np.bool_],
    prompts: NDArray[np.intp],
    exchange: Exchange,
    metric: Metric,
    permutations: int,
    seed: int,
    alternative: Alternative = "greater",
) -> Validation:
    """Does the number tell the groups apart? positive: [texts]. prompts: [texts], a number for each prompt. alternative
    "greater": it is higher in the positive group. There is at least one case of either group. Where a rearrangement leaves one
    group without cases, it tells nothing: chance."""
    high, low = cases.sides(positive)
    score = float(discrimination(cases.scores, high, low, metric))
    null = [
        np.nan_to_num(discrimination(cases.scores, *cases.sides(positive[places]), metric), nan=CHANCE)
        for places in exchange.rearranged(np.random.default_rng([seed, 0]), permutations)
    ]
    low_end, high_end = _interval(cases, high, low, prompts, metric, seed)
    above = cases.scores > CHANCE
    positive_rate, negative_rate = float(above[high].mean()), float(above[low].mean())
    h = cohens_h(positive_rate, negative_rate)
    return Validation(
        metric=metric,
        score=score,
        low=low_end,
        high=high_end,
        p=permutation_p(np.concatenate(null), score, alternative),
        positives=int(high.sum()),
        negatives=int(low.sum()),
        units=len(np.unique(prompts[cases.first])),
        positive_rate=positive_rate,
        negative_rate=negative_rate,
        h=h,
        size=cohens_h_words(h),
    )


def _interval(
    cases: Cases, high: NDArray[np.bool_], low: NDArray[np.bool_], prompts: NDArray[np.intp], metric: Metric, seed: int
) -> tuple[float, float]:
    """Percentile interval of the metric when prompts are drawn with replacement, as often as there are."""
    generator = np.random.default_rng([seed, 1])
    units = np.unique(prompts, return_inverse=True)[1]
    there = units.max() + 1
    at_once = max(1, _BLOCK // max(len(cases.scores), 1))
    found = []
    for start in range(0, DRAWS, at_once):
        rows = min(at_once, DRAWS - start)
        drawn = generator.multinomial(there, np.full(there, 1 / there), size=rows).astype(float)
        weights = cases.weights(drawn, units)
        found.append(discrimination(cases.scores, weights * high, weights * low, metric))
    ends = np.nanquantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(ends[0]), float(ends[1])
