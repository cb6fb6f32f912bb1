"""Which prompts of a bank go on: weights out of divergence, criterion and diversity, and a draw without replacement (§4.5).

Pure arithmetic over numpy arrays. A draw depends on its own seed and the prompt alone, never on the order of the bank.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.settings import canonical_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_NARROWEST = 1e-4  # divergences that differ by less count as equal
_NARROWEST_SUM = 1e-7


@dataclass(frozen=True, slots=True)
class Weights:
    divergence: float = 1.0
    criterion: float = 0.0
    diversity: float = 1.0


def rescale(values: Numbers, top: float = 1.0, narrowest: float = _NARROWEST) -> Numbers:
    """values [n] moved and stretched to [0, top]; values that are all equal, to 0."""
    if not len(values):
        return values
    low = values.min()
    return top * (values - low) / max(values.max() - low, narrowest)


def worth(divergence: Numbers, criterion: Numbers, diversity: Numbers, weights: Weights) -> Numbers:
    """What each prompt of a bank is worth, in [0, 1]; all [n]."""
    total = weights.divergence * rescale(divergence) + weights.criterion * criterion
    if weights.diversity:
        total = total + weights.diversity * rescale(diversity, narrowest=_NARROWEST_SUM)
    return rescale(total, narrowest=_NARROWEST_SUM)


def probabilities(worths: Numbers, temperature: float, low: bool = False) -> Numbers:
    """Of the first draw, [n]: softmax of ± worth over a temperature above 0."""
    exponent = (-worths if low else worths) / temperature
    raised = np.exp(exponent - exponent.max())
    return raised / raised.sum()


def subsample(
    names: Sequence[str], worths: Numbers, count: int, temperature: float, low: bool, seed: Sequence[object]
) -> list[int]:
    """Places of at most `count` prompts. Temperature 0 takes the most worth (`low`: the least), equals in the bank's order.

    Above 0 they are drawn one after another, by `probabilities` among what is left: the largest of ln P + g, with g of the
    Gumbel distribution, are just such a draw. Each prompt's g comes of `seed` and its name.
    """
    rank = -worths if low else worths
    if temperature > 0:
        chance = np.array([unit(*seed, name) for name in names])
        rank = rank / temperature - np.log(-np.log(chance))
    return np.argsort(-rank, kind="stable")[:count].tolist()


def unit(*parts: object) -> float:
    """A number in (0, 1) that these parts decide."""
    digest = hashlib.sha256(canonical_json(list(parts)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") + 0.5) * 2.0**-64
