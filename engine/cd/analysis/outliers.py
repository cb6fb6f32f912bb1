"""Which numbers are left out of pictures and fits because they lie far off: the published rule (spec §6.2).

Owns the rule alone. Whoever applies it tells how many were left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_DEVIATIONS = 4.0
SHARE = 0.99


def kept(values: ArrayLike, share: float = SHARE) -> NDArray[np.bool_]:
    """[n] → [n] bool: within 4 standard deviations of the mean, and among the int(share·n) nearest to the median. What is no
    finite number is left out, and counts for neither."""
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.flatnonzero(np.isfinite(numbers))
    known = numbers[finite]
    keep = np.zeros(len(numbers), dtype=bool)
    if not len(known):
        return keep
    near = np.argsort(np.abs(known - np.median(known)), kind="stable")[: int(share * len(known) + 1e-9)]
    within = np.abs(known - known.mean()) <= _DEVIATIONS * known.std()
    chosen = np.zeros(len(known), dtype=bool)
    chosen[near] = True
    keep[finite[chosen & within]] = True
    return keep


def pairs_kept(xs: ArrayLike, ys: ArrayLike, share: float = SHARE) -> NDArray[np.bool_]:
    """[n] bool: where both numbers of a pair are kept."""
    return kept(xs, share) & kept(ys, share)
