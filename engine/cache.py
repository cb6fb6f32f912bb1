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


class RoomyCache(DynamicCache):
    """The cache of any family's layers, for rows of at most `length` tokens, pads counted. Layers whose window is shorter than
    that keep transformers' own cache, which never holds more than the window."""

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

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        new = (key_states, value_states)
        if not self._buffers:
            self.lazy_initialization(key_states, value_states)
            self._buffers = [states.new_empty(*states.shape[:2], self._length, states.shape[3]) for states in new]
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        for buffer, states in zip(self._buffers, new, strict=True):
            buffer[:, :, start:end] = states
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in this order, some of them perhaps several times."""
        written = self.get_seq_length()
        if not written:
            return
        for number, buffer in enumerate(self._buffers):
            chosen = buffer.new_empty(len(indices), *buffer.shape[1:])
            torch.index_select(buffer[:, :, :written], 0, indices.to(buffer.device), out=chosen[:, :, :written])
            self._buffers[number] = chosen
        self.keys, self.values = (buffer[:, :, :written] for buffer in self._buffers)
