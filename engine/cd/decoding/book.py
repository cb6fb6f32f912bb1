"""The numbers of a batch's texts, filled in while they are written or read, and handed out text by text.

Owns collecting: logits wait until there are enough of them to be measured together, which costs a third of doing it step by
step. It knows neither how tokens are chosen nor in which order places are filled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.cd.decoding.divergences import PART, PART_CPU, Readings, Top, Weights, read
from engine.cd.decoding.numbers import TokenNumbers
from engine.cd.decoding.state import faulty
from engine.cd.pairs.pair import Pair
from engine.cd.settings import MeasureSettings

_WAITING_CPU = 4 * PART_CPU


class NumberBook:
    """Room for the numbers of `texts` × `width` predictions."""

    def __init__(self, pair: Pair, texts: int, width: int, settings: MeasureSettings, weights: Weights) -> None:
        self._pair, self._settings, self._weights = pair, settings, weights
        self._shape = (texts, width)
        self._limit = _WAITING_CPU if pair.starting.model.device.type == "cpu" else PART
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self._places: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._held = 0
        self._values: dict[str, NDArray[np.float32]] = {}
        self._tops: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []

    def note(
        self,
        texts: NDArray[np.int64],
        columns: NDArray[np.int64],
        starting: Tensor,
        comparison: Tensor,
        tokens: Tensor,
    ) -> None:
        """Logits of S and C, [rows, vocab], and the tokens that came there, [rows]; each row is a text and a column."""
        self._waiting.append((starting, comparison, tokens))
        self._places.append((texts, columns))
        self._held += starting.numel()
        if self._held >= self._limit:
            self._measure()

    def numbers(self, text: int, length: int) -> TokenNumbers:
        """Of a text's first `length` columns. Raises `EngineError` where a model's logits were no numbers."""
        self._measure()
        if not self._values:
            self._prepare(_of_nothing(self._pair, self._settings, self._weights))
        values = {name: array[text, :length].copy() for name, array in self._values.items()}
        if np.isnan(values["kl"]).any():
            raise faulty(self._pair, not np.isnan(values["starting_entropy"]).any())
        first, second, terms = ((ids[text, :length].copy(), found[text, :length].copy()) for ids, found in self._tops)
        return TokenNumbers(values, first, second, terms)

    def _measure(self) -> None:
        if not self._waiting:
            return
        starting, comparison, tokens = (torch.cat(column) for column in zip(*self._waiting, strict=True))
        text, column = (np.concatenate(part) for part in zip(*self._places, strict=True))
        self._waiting, self._places, self._held = [], [], 0
        found = read(starting, comparison, tokens, self._settings, self._weights)
        if not self._values:
            self._prepare(found)
        stacked = torch.stack(list(found.values.values())).cpu().numpy()  # one transfer for all measures
        for array, values in zip(self._values.values(), stacked, strict=True):
            array[text, column] = values
        for (ids, numbers), (top, shares) in zip(self._tops, _tops(found), strict=True):
            ids[text, column], numbers[text, column] = top.cpu().numpy(), shares.cpu().numpy()

    def _prepare(self, like: Readings) -> None:
        self._values = {name: np.zeros(self._shape, dtype=np.float32) for name in like.values}
        sizes = [(*self._shape, ids.shape[-1]) for ids, _ in _tops(like)]
        self._tops = [(np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.float32)) for size in sizes]


def _tops(found: Readings) -> Sequence[Top]:
    return found.starting_top, found.comparison_top, found.terms


def _of_nothing(pair: Pair, settings: MeasureSettings, weights: Weights) -> Readings:
    """Readings of any one prediction: what is read where nothing was written."""
    level = torch.zeros(1, pair.vocabulary)
    return read(level, level, torch.zeros(1, dtype=torch.int64), settings, weights)
