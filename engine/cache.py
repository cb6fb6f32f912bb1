"""A key-value cache with room for what is to come: a step writes its own column instead of copying all that came before.

Owns the memory of a batch's keys and values: rows × length, taken with the first pass and at each choice of rows. It knows
neither positions nor steering. transformers' growing cache joins old and new keys at every step, which at 256 rows of a
256-wide model took half of the time on a CPU; its static cache shows the model columns that nobody has written yet.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from engine.models import LoadedModel

_FEW = 8  # rows up to which joining costs less than the calls that write in place


def cache_for(model: LoadedModel, rows: int, length: int) -> DynamicCache:
    """An empty cache for so many rows of at most `length` tokens, pads counted."""
    return RoomyCache(model, length) if rows > _FEW else DynamicCache(config=model.model.config)


class RoomyCache(DynamicCache):
    """The cache of any family's layers. Those whose window is shorter than `length` keep transformers' own, which never holds
    more than the window."""

    def __init__(self, model: LoadedModel, length: int) -> None:
        super().__init__(config=model.model.config)
        self.layers = [_RoomyLayer(length) if _sees_everything(layer, length) else layer for layer in self.layers]


def _sees_everything(layer: object, length: int) -> bool:
    if isinstance(layer, DynamicSlidingWindowLayer):
        return length <= layer.sliding_window
    return type(layer) is DynamicLayer


class _RoomyLayer(DynamicLayer):
    """`keys` and `values` are the written part, [batch, heads, written, width], of buffers of `length`."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length
        self._buffers: list[Tensor] = []
        self._written = 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if not self._buffers:
            self.lazy_initialization(key_states, value_states)
            self._buffers = [
                states.new_empty(*states.shape[:2], self._length, states.shape[3]) for states in (key_states, value_states)
            ]
        start, new = self._written, key_states.shape[2]
        self._written = start + new
        keys, values = self._buffers
        keys.narrow(2, start, new).copy_(key_states)
        values.narrow(2, start, new).copy_(value_states)
        self.keys, self.values = keys.narrow(2, 0, self._written), values.narrow(2, 0, self._written)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in this order, some of them perhaps several times."""
        written = self._written
        for number, buffer in enumerate(self._buffers):
            chosen = buffer.new_empty(len(indices), *buffer.shape[1:])
            torch.index_select(buffer[:, :, :written], 0, indices.to(buffer.device), out=chosen[:, :, :written])
            self._buffers[number] = chosen
        if self._buffers:
            self.keys, self.values = (buffer[:, :, :written] for buffer in self._buffers)
