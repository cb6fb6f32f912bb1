"""Rows computed one token at a time, and the book of what they write: the parts that every decoding loop is made of.

Owns caches, masks and positions of rows that grow, and which of them have ended. It does not know where the logits that a token
is chosen from come from: from one model, or from two that are combined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from engine.errors import EngineError
from engine.forward import Rows, Runner, if_padded, pad, prefill
from engine.sampling import Sampling, choose

_DROP_AT = 4  # drop ended rows once they are a fourth of the batch: each cut copies the cache


class Stepper(Protocol):
    """Rows of one model. touched: [batch, longest + steps] bool, by absolute position, where the rows it began with were
    steered."""

    touched: Tensor

    def next(self, tokens: Tensor | None = None) -> Tensor:
        """Logits [rows, vocab] of what comes next. tokens: [rows], what was written since the last call; none at the first."""
        ...

    def select(self, index: Tensor) -> None:
        """Go on with these rows, in this order, some of them perhaps several times. index: on the CPU."""
        ...


class CachedSteps:
    """Every step computes one token. Rows of one prompt share its prefill where the steering allows it."""

    def __init__(self, runner: Runner, prompts: Sequence[tuple[int, ...]], rows: Rows, steps: int) -> None:
        prefix = prefill(runner, prompts, rows, room=steps, finish=True)
        positions = rows.lengths[:, None] - 1 + torch.arange(steps)
        touched = runner.touched(rows, positions, torch.ones_like(positions, dtype=torch.bool))
        self.touched = torch.zeros(len(rows.lengths), int(rows.lengths.max()) + steps, dtype=torch.bool)
        _mark(self.touched, torch.arange(len(touched)), (prefix.valid.cumsum(1) - 1).clamp_(min=0), prefix.touched)
        _mark(self.touched, torch.arange(len(touched)), positions, touched)
        self._runner, self._rows, self._cache, self._step = runner, rows, prefix.cache, 0
        self._first: Tensor | None = prefix.logits
        self._last = None if prefix.logits is not None else torch.tensor([prompt[-1] for prompt in prompts])
        self._past = prefix.valid.shape[1] - (prefix.logits is not None)
        self._now = touched
        self._steady = [False, *(touched[:, 1:] == touched[:, :-1]).all(0).tolist()]  # steered as in the step before
        self._aimed = False
        mask = _decoding_mask(prefix.valid, steps)
        self._mask = None if mask is None else mask.to(runner.device)
        self._positions = positions.to(runner.device)

    def next(self, tokens: Tensor | None = None) -> Tensor:
        step, self._step = self._step, self._step + 1
        if step == 0 and self._first is not None:
            logits, self._first = self._first, None
            return logits
        current = self._last if tokens is None else tokens
        assert current is not None
        aim = None if self._aimed and self._steady[step] else self._now[:, step : step + 1]
        seen = None if self._mask is None else self._mask[:, : self._past + step + 1]
        positions = self._positions[:, step : step + 1]
        logits = self._runner.run(self._rows, current[:, None], positions, aim, seen, self._cache, keep=1)
        assert logits is not None
        self._aimed = True
        return logits[:, -1]

    def select(self, index: Tensor) -> None:
        self._rows, self._positions, self._now = self._rows.pick(index), self._positions[index], self._now[index]
        self._mask = None if self._mask is None else self._mask[index]
        self._cache.batch_select_indices(index)
        self._aimed = False


class UncachedSteps:
    """`CachedSteps` without a cache and without sharing anything: every step computes all tokens. There to be compared with."""

    def __init__(self, runner: Runner, prompts: Sequence[tuple[int, ...]], rows: Rows, steps: int) -> None:
        self._runner, self._rows, self._began = runner, rows, torch.arange(len(prompts))
        self._ids, self._valid = pad(prompts, "left")
        self.touched = torch.zeros(len(prompts), self._ids.shape[1] + steps, dtype=torch.bool)

    def next(self, tokens: Tensor | None = None) -> Tensor:
        if tokens is not None:
            self._ids = torch.cat([self._ids, tokens.cpu()[:, None]], 1)
            self._valid = torch.cat([self._valid, torch.ones_like(self._valid[:, :1])], 1)
        positions = (self._valid.cumsum(1) - 1).clamp_(min=0)
        touched = self._runner.touched(self._rows, positions, self._valid)
        _mark(self.touched, self._began, positions, touched)
        logits = self._runner.run(self._rows, self._ids, positions, touched, self._valid, None, 1)
        assert logits is not None
        return logits[:, -1]

    def select(self, index: Tensor) -> None:
        self._rows, self._began = self._rows.pick(index), self._began[index]
        self._ids, self._valid = self._ids[index], self._valid[index]


class Writing:
    """The tokens of a batch's rows, each drawn on its own, and which rows have ended.

    tokens: [batch, steps] int64, behind a stop: anything. alive: [rows], which of the batch are still computed.
    """

    def __init__(self, seeds: Sequence[int], sampling: Sampling, stops: frozenset[int]) -> None:
        self.tokens = np.zeros((len(seeds), sampling.max_new_tokens), dtype=np.int64)
        self.alive = np.arange(len(seeds))
        self.step = 0
        self._seeds = np.array(seeds, dtype=np.uint64)
        self._sampling, self._stops = sampling, np.array(sorted(stops), dtype=np.int64)
        self._ended = np.zeros(len(seeds), dtype=bool)

    def write(self, logits: Tensor, fault: Callable[[], EngineError]) -> Tensor:
        """The next token of every row, [rows]. logits: [rows, vocab]; fault: what is said where they are no numbers."""
        current = choose(logits, self._sampling, self._seeds[self.alive], self.step)
        written = current.cpu().numpy()
        nothing = written < 0
        if nothing.any():
            if (nothing & ~self._ended).any():
                raise fault()
            # A row that has ended may go on with any token: what becomes of it behind its stop must not matter, since alone it
            # would not be computed.
            current = current.clamp(min=0)
        self.tokens[self.alive, self.step] = written
        self._ended |= (written[:, None] == self._stops).any(1)
        self.step += 1
        return current

    @property
    def over(self) -> bool:
        return self.step == self.tokens.shape[1] or bool(self._ended.all())

    def drop(self) -> Tensor | None:
        """The rows to go on with, once it pays to leave the ended ones out."""
        if np.count_nonzero(self._ended) * _DROP_AT < len(self._ended):
            return None
        keep = np.flatnonzero(~self._ended)
        self.alive, self._ended = self.alive[keep], self._ended[keep]
        return torch.from_numpy(keep)


def _mark(record: Tensor, rows: Tensor, positions: Tensor, touched: Tensor) -> None:
    row, column = touched.nonzero(as_tuple=True)
    record[rows[row], positions[row, column]] = True


def _decoding_mask(valid: Tensor, steps: int) -> Tensor | None:
    """Over the prompts, `valid` [batch, width], and everything that is written behind them."""
    padded = if_padded(valid)
    return None if padded is None else torch.cat([padded, torch.ones(len(valid), steps, dtype=torch.bool)], 1)
