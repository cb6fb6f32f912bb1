"""How large a difference is, and whether chance makes such ones: permutation tests and effect sizes over prompts.

Owns arithmetic only. The unit of every interval is the prompt: texts of one prompt are no independent evidence of how a model
treats prompts. A p-value is (k + 1) / (n + 1), so it is never 0 (§7.14), and it is about the expected direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.significance import cliffs_delta, cohens_h, permutation_p

Values = NDArray[np.float64]
_NORMAL = 1.96
_DRAWS = 2000
_BLOCK = 1 << 21  # numbers shuffled at a time


@dataclass(frozen=True, slots=True)
class Comparison:
    """first, second: the means; effect: positive where the first is more, with its 95 % interval."""

    first: float
    second: float
    effect: float
    low: float
    high: float


def paired_p(first: Sequence[Values], second: Sequence[Values], permutations: int, seed: int) -> float:
    """p of "the first's texts have more of it". first, second: for every prompt the values of its texts, [texts] each.

    Which of the two wrote a text is shuffled within its prompt: where the models write alike, every such assignment was equally
    likely. The statistic is the mean over prompts of the difference of means.
    """
    generator = np.random.default_rng(seed)
    observed, null = 0.0, np.zeros(permutations)
    for one, other in zip(first, second, strict=True):
        pool = np.concatenate([one, other])
        observed += one.mean() - other.mean()
        at_once = max(1, _BLOCK // len(pool))
        for start in range(0, permutations, at_once):
            rows = min(at_once, permutations - start)
            shuffled = generator.permuted(np.broadcast_to(pool, (rows, len(pool))), axis=1)
            null[start : start + rows] += shuffled[:, : len(one)].mean(1) - shuffled[:, len(one) :].mean(1)
    return permutation_p(_plain(null), _plain(np.asarray(observed)).item())


def groups_p(first: Values, second: Values, permutations: int, seed: int) -> float:
    """p of "the first group's values are larger": group labels are shuffled over all values. [prompts] each."""
    generator = np.random.default_rng(seed)
    pool = np.concatenate([first, second])
    null = np.empty(permutations)
    at_once = max(1, _BLOCK // len(pool))
    for start in range(0, permutations, at_once):
        rows = min(at_once, permutations - start)
        shuffled = generator.permuted(np.broadcast_to(pool, (rows, len(pool))), axis=1)
        null[start : start + rows] = shuffled[:, : len(first)].mean(1) - shuffled[:, len(first) :].mean(1)
    return permutation_p(_plain(null), _plain(np.asarray(first.mean() - second.mean())).item())


def shares(first: Sequence[Values], second: Sequence[Values], seed: int) -> Comparison:
    """Cohen's h of two shares, each the mean over prompts of the share of a prompt's texts (values 0 and 1)."""
    one, other = _means(first), _means(second)
    drawn = _resampled(len(one), seed)
    spread = _h(one[drawn].mean(1), other[drawn].mean(1))
    # where hardly any text has it, drawing prompts again finds nothing else: the arcsine's own error holds there too
    error = _NORMAL * math.sqrt(1 / sum(map(len, first)) + 1 / sum(map(len, second)))
    effect = cohens_h(float(one.mean()), float(other.mean()))
    return _comparison(one, other, effect, spread, error, math.pi)


def amounts(first: Sequence[Values], second: Sequence[Values], seed: int) -> Comparison:
    """Rank-biserial correlation of two amounts: the mean over prompts of P(first > second) - P(first < second)."""
    each = np.array([cliffs_delta(one.tolist(), other.tolist()) for one, other in zip(first, second, strict=True)])
    spread = each[_resampled(len(each), seed)].mean(1)
    error = _NORMAL * _null_error(sum(map(len, first)), sum(map(len, second)))
    return _comparison(_means(first), _means(second), float(each.mean()), spread, error)


def groups(first: Values, second: Values, seed: int) -> Comparison:
    """Rank-biserial correlation of two groups of prompts. [prompts] each."""
    generator = np.random.default_rng(seed)
    drawn = ((generator.choice(first, len(first)), generator.choice(second, len(second))) for _ in range(_DRAWS))
    spread = np.array([cliffs_delta(one.tolist(), other.tolist()) for one, other in drawn])
    error = _NORMAL * _null_error(len(first), len(second))
    return _comparison(first, second, cliffs_delta(first.tolist(), second.tolist()), spread, error)


def _comparison(first: Values, second: Values, effect: float, spread: Values, error: float, largest: float = 1.0) -> Comparison:
    """The wider of the bootstrap interval and the large-sample one: the first knows prompts, the second few cases. No effect is
    larger than `largest`."""
    low, high = np.quantile(spread, [0.025, 0.975])
    low, high = max(min(float(low), effect - error), -largest), min(max(float(high), effect + error), largest)
    return Comparison(float(first.mean()), float(second.mean()), effect, low, high)


def _means(values: Sequence[Values]) -> Values:
    return np.array([one.mean() for one in values])


def _resampled(count: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, count, (_DRAWS, count))


def _h(first: Values, second: Values) -> Values:
    angles = (2 * np.arcsin(np.sqrt(np.clip(share, 0, 1))) for share in (first, second))
    return np.subtract(*angles)


def _null_error(first: int, second: int) -> float:
    """Of a rank-biserial correlation without ties, where there is no effect (Mann and Whitney 1947)."""
    return math.sqrt((first + second + 1) / (3 * first * second))


def _plain(values: Values) -> Values:
    """Sums of the same numbers in another order differ by rounding; equal ones must count as equal."""
    return np.round(values, 9)
