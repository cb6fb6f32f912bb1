"""How numbers are spread over the texts of a run, and how two of them go together (spec §6.1, 6.2).

Owns the arithmetic: summaries with intervals over prompts, and straight lines. It reads no files and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.cd.analysis.outliers import kept, pairs_kept
from engine.cd.views.ordering import by_prompt
from engine.statistics import Mean, mean_of

QUANTILES = (0.05, 0.5, 0.95)
_DECADES = 100


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one metric over the texts of a run. `mean`: of its prompts' means, with the interval over prompts. `sd`, `quantiles`
    (at `QUANTILES`): of single texts. `outliers`: texts that pictures leave out. None of the numbers leaves out any text."""

    mean: Mean
    sd: float
    quantiles: tuple[float, ...]
    texts: int
    outliers: int


def spread(values: NDArray[np.float64], prompt_ids: Sequence[str]) -> Spread | None:
    """values: [texts], NaN where a text has none; None where no text has one."""
    finite = np.where(np.isfinite(values), values, np.nan)
    known = finite[~np.isnan(finite)]
    if not len(known):
        return None
    mean = mean_of(by_prompt(finite.tolist(), prompt_ids))
    quantiles = tuple(float(value) for value in np.quantile(known, QUANTILES))
    outliers = len(known) - int(kept(known).sum())
    return Spread(mean, float(known.std(ddof=1)) if len(known) > 1 else 0.0, quantiles, len(known), outliers)


@dataclass(frozen=True, slots=True)
class Fit:
    """Least squares y = slope·x + intercept over `points`; `r2`: the share of y's variance that it explains."""

    slope: float
    intercept: float
    r2: float
    points: int

    @property
    def correlation(self) -> float:
        return float(np.copysign(np.sqrt(self.r2), self.slope))


def fit(xs: ArrayLike, ys: ArrayLike) -> Fit | None:
    """The line through the points; None where fewer than 3 are known or no x differs from another."""
    x, y = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    x_off, y_off = x - x.mean(), y - y.mean()
    slope = float((x_off * y_off).sum() / (x_off**2).sum())
    total = float((y_off**2).sum())
    explained = 1 - float(((y_off - slope * x_off) ** 2).sum()) / total if total else 0.0
    return Fit(slope, float(y.mean() - slope * x.mean()), max(explained, 0.0), len(x))


def chosen(keep: NDArray[np.bool_], most: int, seed: int) -> NDArray[np.intp]:
    """Places of what is kept; of more than `most` so many by chance, in their order."""
    places = np.flatnonzero(keep)
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng(seed).choice(places, most, replace=False))


def spans_decades(values: NDArray[np.float64]) -> bool:
    """Whether numbers are seen better on a logarithmic axis: all above 0, and their middle 90 % go over more than two decades,
    or the largest lies so far above the median (a rare difference, which a plain axis would flatten the others for)."""
    if not len(values) or values.min() <= 0:
        return False
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return bool(high > _DECADES * low or values.max() > _DECADES * middle)


def single(values: NDArray[np.float64], keep_outliers: bool) -> NDArray[np.bool_]:
    """[n] bool: which of single numbers are drawn."""
    return np.isfinite(values) if keep_outliers else kept(values)


def paired(xs: NDArray[np.float64], ys: NDArray[np.float64], keep_outliers: bool) -> NDArray[np.bool_]:
    """[n] bool: which pairs are drawn and fitted."""
    return np.isfinite(xs) & np.isfinite(ys) if keep_outliers else pairs_kept(xs, ys)
