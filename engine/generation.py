"""Writing answers: a batched, cached loop of our own, in which every row has its own steering and its own random draws.

Owns batches, and answers with the record of their steered positions; `engine.stepping` is the loop's inside. In float32 a
row's tokens do not depend on the batch it is in. Rows of one prompt share its prefill where the position rule allows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.forward import Rows, Runner, Steering, check_length, enough_memory, no_numbers
from engine.models import LoadedModel
from engine.sampling import Sampling
from engine.stepping import CachedSteps, UncachedSteps, Writing
from engine.store.records import Finish


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
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [rows[index] for index in chosen]
        with runner.attached(), enough_memory(len(batch)):
            tokens, touched = _write(runner, batch, sampling, stops, use_cache)
        for index, row, written, map_ in zip(chosen, batch, tokens.tolist(), touched, strict=True):
            yield index, _completion(row, written, map_, stops)


def check_rows(model: LoadedModel, rows: Sequence[Row], sampling: Sampling) -> None:
    """Refuse rows that the model has too few positions for."""
    longest = max((len(row.prompt) for row in rows), default=0)
    check_length(model, longest + sampling.max_new_tokens, "shorten the prompts or give a smaller --max-new-tokens")


def _write(
    runner: Runner, batch: Sequence[Row], sampling: Sampling, stops: frozenset[int], use_cache: bool
) -> tuple[np.ndarray, Tensor]:
    """→ tokens [batch, steps] (after a stop: anything) and the steered map [batch, longest + steps] bool."""
    rows, kind = _rows(runner, batch), CachedSteps if use_cache else UncachedSteps
    steps = kind(runner, [row.prompt for row in batch], rows, sampling.max_new_tokens)
    writing = Writing([row.seed for row in batch], sampling, stops)
    current = None
    while not writing.over:
        current = writing.write(steps.next(current), lambda: no_numbers(runner.model))
        keep = None if writing.over else writing.drop()
        if keep is not None:
            steps.select(keep)
            current = current[keep]
    return writing.tokens, steps.touched


def _rows(runner: Runner, batch: Sequence[Row]) -> Rows:
    return runner.rows([len(row.prompt) for row in batch], [row.arm for row in batch], [row.marker for row in batch])


def _completion(row: Row, written: list[int], touched: Tensor, stops: frozenset[int]) -> Completion:
    end = next((step for step, token in enumerate(written) if token in stops), None)
    count = len(written) if end is None else end
    computed = len(row.prompt) + len(written) - 1 if end is None else len(row.prompt) + end
    return Completion(tuple(written[:count]), "length" if end is None else "stop", tuple(touched[:computed].tolist()))
