"""How far each text is from all others, kept up to date text by text.

Owns the diversity of specs/contrastive_decoding.md §4.5: e_i = n / Σ_j 1/(D_ij + 1e-8) over Euclidean distances D, j ≠ i. A new
text costs one row of distances: O(n), where computing all anew would cost O(n²).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEAR = 1e-8  # equal texts are near, not infinitely so


class Distances:
    """A growing set of vectors [n, width] and, for each, the sum of inverse distances to the others."""

    def __init__(self) -> None:
        self._vectors: NDArray[np.float64] | None = None
        self._sums = np.zeros(0)

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, vectors: NDArray[np.floating]) -> None:
        """vectors: [m, width], put behind those that are there."""
        for vector in np.asarray(vectors, dtype=np.float64):
            known = self._known(len(vector))
            inverse = 1.0 / (np.sqrt(((known - vector) ** 2).sum(1)) + _NEAR)
            self._append(vector)
            self._sums = np.append(self._sums + inverse, inverse.sum())

    def diversity(self) -> NDArray[np.float64]:
        """e [n]: large where a text is far from the others; 0 for a text that is alone."""
        with np.errstate(divide="ignore"):
            return np.where(self._sums > 0, len(self) / self._sums, 0.0)

    def _known(self, width: int) -> NDArray[np.float64]:
        if self._vectors is None:
            self._vectors = np.empty((16, width))
        return self._vectors[: len(self)]

    def _append(self, vector: NDArray[np.float64]) -> None:
        assert self._vectors is not None
        if len(self) == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._vectors[len(self)] = vector
