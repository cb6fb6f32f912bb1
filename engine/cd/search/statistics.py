"""How a bank stands after a cycle: means, spreads and extremes of all its prompts, and of those that go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Spread:
    """sd: of the population (divided by n)."""

    mean: float
    sd: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class CycleStatistics:
    """`full`: the whole bank; `subsample`: the prompts that the next cycle builds on. None: there was nothing to measure."""

    divergence_full: Spread | None
    divergence_subsample: Spread | None
    diversity_full: Spread | None
    diversity_subsample: Spread | None


def spread(values: NDArray[np.float64]) -> Spread | None:
    """Of values [n]; None for none of them."""
    if not len(values):
        return None
    numbers = (values.mean(), values.std(), values.min(), values.max())
    return Spread(*(round(float(number), _DIGITS) for number in numbers))
