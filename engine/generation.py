"""Writing answers: a batched, cached loop of our own, in which every row has its own steering and its own random draws.

Owns prefill, decoding, stopping and the record of steered positions. In float32 a row's tokens do not depend on the batch it
is in. Rows of one prompt share its prefill where the position rule allows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.forward import Rows, Runner, Steering, check_length, enough_memory, if_padded, no_numbers, pad, prefill
from engine.models import LoadedModel
from engine.sampling import Sampling, choose
from engine.store.records import Finish

_DROP_AT = 4  # drop ended rows once they are a fourth of the batch: each cut copies the cache


@dataclass(frozen=True, slots=True)
class Row:
    """One answer to write. `arm` indexes the steering's arms, `marker` is a position in the prompt (rule `from_marker`)."""

    prompt: tuple[int, ...]
    seed: int = 0
    arm: int = 0
    marker: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """`ids` without the stop token. `steered[p]` tells whether position p was steered; the last token is never computed, so
    positions reach to the one before it."""

    ids: tuple[int, ...]
    finish: Finish
    steered: tuple[bool, ...]


@torch.inference_mode()
def generate(
    model: LoadedModel,
    rows: Sequence[Row],
    sampling: Sampling,
    steering: Steering | None = None,
    batch_size: int = 64,
    stop_ids: frozenset[int] | None = None,
    use_cache: bool = True,
) -> Iterator[tuple[int, Completion]]:
    """Yield (index in `rows`, its completion), a batch at a time, long prompts first: a batch that is too large fails at once.

    `use_cache=False` computes every step from the first token; it is there to be compared with.
    """
    check_rows(model, rows, sampling)
    stops = model.stop_ids() if stop_ids is None else stop_ids
    runner = Runner(model, steering)
    order = sorted(range(len(rows)), key=lambda index: (-len(rows[index].prompt), rows[index].prompt))
    write = _write_cached if use_cache else _write_uncached
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [rows[index] for index in chosen]
        with runner.attached(), enough_memory(len(batch)):
            tokens, touched = write(runner, batch, sampling, np.array(sorted(stops), dtype=np.int64))
        for index, row, written, map_ in zip(chosen, batch, tokens.tolist(), touched, strict=True):
            yield index, _completion(row, written, map_, stops)


def check_rows(model: LoadedModel, rows: Sequence[Row], sampling: Sampling) -> None:
    """Refuse rows that the model has too few positions for."""
    longest = max((len(row.prompt) for row in rows), default=0)
    check_length(model, longest + sampling.max_new_tokens, "shorten the prompts or give a smaller --max-new-tokens")


def _write_cached(runner: Runner, batch: Sequence[Row], sampling: Sampling, stops: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """→ tokens [batch, steps] (after a stop: anything) and the steered map [batch, longest + steps] bool."""
    rows, steps, device = _rows(runner, batch), sampling.max_new_tokens, runner.device
    record = _Record(batch, sampling)
    prefix = prefill(runner, [row.prompt for row in batch], rows, room=steps, finish=True)
    record.mark((prefix.valid.cumsum(1) - 1).clamp_(min=0), prefix.touched)
    positions = rows.lengths[:, None] - 1 + torch.arange(steps)
    touched = runner.touched(rows, positions, torch.ones_like(positions, dtype=torch.bool))
    record.mark(positions, touched)
    steady = [False, *(touched[:, 1:] == touched[:, :-1]).all(0).tolist()]  # steered as in the step before
    positions, mask = positions.to(device), _decoding_mask(prefix.valid, steps)
    mask = None if mask is None else mask.to(device)
    logits, aimed = prefix.logits, False
    past = prefix.valid.shape[1] - (logits is not None)
    current = torch.tensor([row.prompt[-1] for row in batch], device=device)
    alive, ended = np.arange(len(batch)), np.zeros(len(batch), dtype=bool)
    for step in range(steps):
        if step or logits is None:
            aim = None if aimed and steady[step] else touched[:, step : step + 1]
            seen = None if mask is None else mask[:, : past + step + 1]
            found = runner.run(rows, current[:, None], positions[:, step : step + 1], aim, seen, prefix.cache, keep=1)
            assert found is not None
            logits, aimed = found[:, -1], True
        current = choose(logits, sampling, record.seeds[alive], step)
        written = current.cpu().numpy()
        current = _chosen(runner, current, written, ended)
        record.tokens[alive, step] = written
        ended |= (written[:, None] == stops).any(1)
        count = np.count_nonzero(ended)
        if count == len(ended):
            break
        if count * _DROP_AT >= len(ended) and step + 1 < steps:
            keep = torch.from_numpy(np.flatnonzero(~ended))
            rows, current, positions, touched = rows.pick(keep), current[keep], positions[keep], touched[keep]
            mask = None if mask is None else mask[keep]
            alive, ended = alive[~ended], ended[~ended]
            prefix.cache.batch_select_indices(keep)
            aimed = False
    return record.tokens, record.touched


def _decoding_mask(valid: Tensor, steps: int) -> Tensor | None:
    """Over the prompts, `valid` [batch, width], and everything that is written behind them."""
    padded = if_padded(valid)
    return None if padded is None else torch.cat([padded, torch.ones(len(valid), steps, dtype=torch.bool)], 1)


def _write_uncached(runner: Runner, batch: Sequence[Row], sampling: Sampling, stops: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """`_write_cached` without a cache and without sharing anything."""
    rows = _rows(runner, batch)
    record = _Record(batch, sampling)
    ids, valid = pad([row.prompt for row in batch], "left")
    ended = np.zeros(len(batch), dtype=bool)
    for step in range(sampling.max_new_tokens):
        positions = (valid.cumsum(1) - 1).clamp_(min=0)
        touched = runner.touched(rows, positions, valid)
        record.mark(positions, touched)
        logits = runner.run(rows, ids, positions, touched, valid, None, 1)
        assert logits is not None
        current = choose(logits[:, -1], sampling, record.seeds, step).cpu()
        current = _chosen(runner, current, current.numpy(), ended)
        record.tokens[:, step] = current.numpy()
        ended |= (current.numpy()[:, None] == stops).any(1)
        if ended.all():
            break
        ids = torch.cat([ids, current[:, None]], 1)
        valid = torch.cat([valid, torch.ones_like(valid[:, :1])], 1)
    return record.tokens, record.touched


class _Record:
    """What a batch has written and where it is steered, by row and absolute position."""

    def __init__(self, batch: Sequence[Row], sampling: Sampling) -> None:
        longest = max(len(row.prompt) for row in batch)
        self.seeds = np.array([row.seed for row in batch], dtype=np.uint64)
        self.tokens = np.zeros((len(batch), sampling.max_new_tokens), dtype=np.int64)
        self.touched = torch.zeros(len(batch), longest + sampling.max_new_tokens, dtype=torch.bool)

    def mark(self, positions: Tensor, touched: Tensor) -> None:
        row, column = touched.nonzero(as_tuple=True)
        self.touched[row, positions[row, column]] = True


def _chosen(runner: Runner, current: Tensor, written: np.ndarray, ended: np.ndarray) -> Tensor:
    """The tokens of this step, [batch], `written` on the CPU. A row that has ended may go on with any: what becomes of it
    behind its stop must not matter, since alone it would not be computed."""
    nothing = written < 0
    if not nothing.any():
        return current
    if (nothing & ~ended).any():
        raise no_numbers(runner.model)
    return current.clamp(min=0)


def _rows(runner: Runner, batch: Sequence[Row]) -> Rows:
    return runner.rows([len(row.prompt) for row in batch], [row.arm for row in batch], [row.marker for row in batch])


def _completion(row: Row, written: list[int], touched: Tensor, stops: frozenset[int]) -> Completion:
    end = next((step for step, token in enumerate(written) if token in stops), None)
    count = len(written) if end is None else end
    computed = len(row.prompt) + len(written) - 1 if end is None else len(row.prompt) + end
    return Completion(tuple(written[:count]), "length" if end is None else "stop", tuple(touched[:computed].tolist()))
