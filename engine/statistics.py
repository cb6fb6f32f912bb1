"""How sure a mean or a share is: 95 % intervals, the same everywhere. numpy and scipy are imported when there is something to
compute; what the numbers mean belongs to the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 2000
LEVEL = 0.95
_BLOCK = 1 << 20  # numbers drawn at a time: memory stays flat over any number of units


@dataclass(frozen=True, slots=True)
class Mean:
    """`mean` over `units` (items or prompts) of their means; [`low`, `high`] is the 95 % interval, see `mean_of`."""

    mean: float
    low: float
    high: float
    units: int
    observations: int


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total`; [`low`, `high`] is the 95 % Wilson interval, which holds for few cases and near 0 and 1."""

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.total


def mean_of(units: Mapping[str, Collection[float]], share: bool = False) -> Mean:
    """The mean over units of their observations' means, with a bootstrap interval: the unit is drawn again, since samples of
    one prompt are no independent evidence. At least one unit, none of them empty. share: observations lie from 0 to 1. Where
    all are 0, or all 1, drawing them again finds nothing else, however few they are: then the interval is Wilson's over units.
    """
    import numpy as np

    in_order = (units[name] for name in sorted(units))  # records come in any order, an interval is always the same
    means = np.array([sum(observations) / len(observations) for observations in in_order])
    low, high = bootstrap(means.tolist())
    if share and means.min() == means.max() and means[0] in (0, 1):
        known = share_of(round(means.sum()), len(means))
        low, high = known.low, known.high
    return Mean(float(means.mean()), low, high, len(means), sum(map(len, units.values())))


def bootstrap(means: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean when units are drawn with replacement. means: [units]."""
    import numpy as np

    resampled = _resampled(means, np.random.default_rng(seed))
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap_difference(first: Sequence[float], second: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Percentile interval of mean(first) - mean(second) when the units of either side are drawn with replacement; where units
    are pairs, take `bootstrap` of their differences. first: [units], second: [other units]."""
    import numpy as np

    generator = np.random.default_rng(seed)
    differences = _resampled(first, generator) - _resampled(second, generator)
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap_ratio(numerators: Sequence[float], denominators: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Percentile interval of Σ numerators / Σ denominators when units are drawn with replacement. Both: [units]."""
    import numpy as np

    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    generator = np.random.default_rng(seed)
    at_once = max(1, _BLOCK // len(above))
    ratios = []
    for start in range(0, DRAWS, at_once):
        drawn = generator.integers(0, len(above), (min(at_once, DRAWS - start), len(above)))
        ratios.append(above[drawn].sum(1) / below[drawn].sum(1))
    low, high = np.quantile(np.concatenate(ratios), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _resampled(means: Sequence[float], generator: np.random.Generator) -> NDArray[np.float64]:
    """Means of units that were drawn again, [DRAWS]."""
    import numpy as np

    drawn = np.asarray(means, dtype=float)
    at_once = max(1, _BLOCK // len(drawn))
    blocks = [min(at_once, DRAWS - start) for start in range(0, DRAWS, at_once)]
    return np.concatenate([drawn[generator.integers(0, len(drawn), (rows, len(drawn)))].mean(1) for rows in blocks])


def quartiles(units: Mapping[str, Collection[float]]) -> tuple[float, float]:
    """The middle half of the units' means, by linear percentiles: how much units differ, not how sure their mean is."""
    import numpy as np

    low, high = np.percentile([sum(observations) / len(observations) for observations in units.values()], [25, 75])
    return float(low), float(high)


def share_of(count: int, total: int) -> Share:
    """`count` of `total` with its interval; without any case nothing is known: [0, 1]."""
    if total == 0:
        return Share(0, 0, 0.0, 1.0)
    from scipy.stats import binomtest

    interval = binomtest(count, total).proportion_ci(LEVEL, "wilson")
    return Share(count, total, float(interval.low), float(interval.high))
