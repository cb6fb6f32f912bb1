"""The bank of one repeat: its prompts, how far they are from each other, and which of them the next cycle builds on.

Owns the arithmetic's application to entries (`weighting.py`, `distances.py`). It scores nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.cd.search.distances import Distances
from engine.cd.search.records import Entry
from engine.cd.search.settings import SearchSettings
from engine.cd.search.statistics import CycleStatistics, spread
from engine.cd.search.weighting import Weights, subsample, worth

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIGITS = 6  # of diversity: vectors agree to rounding only when they were embedded in other batches


class Bank:
    """Entries in the order in which they were found."""

    def __init__(self, settings: SearchSettings, repeat: int) -> None:
        """settings: resolved."""
        assert settings.divergence_weight is not None
        assert settings.criterion_weight is not None
        assert settings.diversity_weight is not None
        self._weights = Weights(settings.divergence_weight, settings.criterion_weight, settings.diversity_weight)
        assert settings.selection_temperature is not None
        self._temperature = settings.selection_temperature
        self._settings, self._repeat = settings, repeat
        self._distances = Distances()
        self.entries: list[Entry] = []

    def add(self, entries: Sequence[Entry], vectors: NDArray[np.floating] | None) -> None:
        """vectors: [entries, width], or None where diversity has no weight."""
        self.entries += entries
        if vectors is not None:
            self._distances.add(vectors)

    def chosen(self, attempt: int) -> list[Entry]:
        """The prompts that the next attempt is made from, the highest divergence first."""
        settings = self._settings
        criterion = np.array([entry.criterion or 0.0 for entry in self.entries])
        worths = worth(self._divergences(self.entries), criterion, self._diversity(), self._weights)
        names = [entry.prompt_id for entry in self.entries]
        seed = (settings.seed, "shown", self._repeat, attempt)
        places = subsample(names, worths, settings.shown, self._temperature, settings.direction == "low", seed)
        return sorted((self.entries[place] for place in places), key=lambda entry: -entry.divergence)

    def statistics(self, chosen: Sequence[Entry]) -> CycleStatistics:
        measured = len(self._distances) > 0
        diversity = dict(zip((entry.prompt_id for entry in self.entries), self._diversity(), strict=True))
        return CycleStatistics(
            spread(self._divergences(self.entries)),
            spread(self._divergences(chosen)),
            spread(self._diversity()) if measured else None,
            spread(np.array([diversity[entry.prompt_id] for entry in chosen])) if measured else None,
        )

    def _divergences(self, entries: Sequence[Entry]) -> NDArray[np.float64]:
        return np.array([entry.divergence for entry in entries], dtype=np.float64)

    def _diversity(self) -> NDArray[np.float64]:
        """[entries]; 0 everywhere without vectors."""
        if not len(self._distances):
            return np.zeros(len(self.entries))
        return np.round(self._distances.diversity(), _DIGITS)
