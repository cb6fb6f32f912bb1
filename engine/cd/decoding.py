"""Writing texts with two models at once: at every step both predict, their distributions are combined, and a token is drawn.

Owns the loop of §1 of specs/contrastive_decoding.md, in which the numbers of §2 are kept on the way. A text depends on its own
prompt and seed: in float32 not on the batch it is in. Searching with beams is `beams.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from engine.cd.book import NumberBook
from engine.cd.combination import combine
from engine.cd.forcing import prompt_numbers
from engine.cd.numbers import TokenNumbers
from engine.cd.options import check_combination
from engine.cd.pair import Pair, PairPrompt
from engine.cd.settings import TextSettings
from engine.cd.state import PairState, check_lengths, faulty, stop_ids
from engine.errors import EngineError
from engine.forward import enough_memory
from engine.sampling import Sampling
from engine.stepping import Writing
from engine.store.records import Finish


@dataclass(frozen=True, slots=True)
class PairRow:
    """One text to write."""

    prompt: PairPrompt
    seed: int = 0


@dataclass(frozen=True)
class PairCompletion:
    """`ids` without the stop token; `generated` in step with them. prompt: if it is measured, the numbers of its shared tokens
    but the first."""

    ids: tuple[int, ...]
    finish: Finish
    generated: TokenNumbers
    prompt: TokenNumbers | None


@torch.inference_mode()
def decode(
    pair: Pair, rows: Sequence[PairRow], settings: TextSettings, use_cache: bool = True
) -> Iterator[tuple[int, PairCompletion]]:
    """Yield (index in `rows`, its text), a batch at a time, long prompts first: a batch that is too large fails at once.

    `use_cache=False` computes every step from the first token; it is there to be compared with.
    """
    check_combination(settings)
    sizes = [(row.prompt, settings.max_new_tokens) for row in rows]
    check_lengths(pair, sizes, "shorten the prompts or give a smaller --max-new-tokens")
    order = sorted(range(len(rows)), key=lambda index: _size(rows[index].prompt), reverse=True)
    for start in range(0, len(order), settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        batch = [rows[index] for index in chosen]
        with enough_memory(len(batch)):
            written = _write(pair, batch, settings, use_cache)
        yield from zip(chosen, written, strict=True)


def _size(prompt: PairPrompt) -> tuple[object, ...]:
    """Prompts of like length come together, and equal ones beside each other."""
    return len(prompt.starting), len(prompt.comparison), prompt.starting, prompt.comparison


def _write(pair: Pair, batch: Sequence[PairRow], settings: TextSettings, use_cache: bool) -> list[PairCompletion]:
    sampling = Sampling(settings.max_new_tokens, settings.temperature, settings.top_k, settings.top_p)
    weights = settings.starting_weight, settings.comparison_weight
    stops = stop_ids(pair)
    forbidden = sorted(stops) if settings.exact_length else []
    prompts = [row.prompt for row in batch]
    measured = prompt_numbers(pair, prompts, settings, weights) if settings.measure_prompt else {}
    state = PairState(pair, prompts, settings.max_new_tokens, use_cache)
    book = NumberBook(pair, len(batch), settings.max_new_tokens, settings, weights)
    writing = Writing([row.seed for row in batch], sampling, stops)
    current = None
    while not writing.over:
        starting, comparison = state.next(current)
        combined = combine(_without(starting, forbidden), _without(comparison, forbidden), settings)
        alive, column = writing.alive, np.full(len(writing.alive), writing.step)
        current = writing.write(combined, partial(_fault, pair, starting))
        book.note(alive, column, starting, comparison, current)
        keep = None if writing.over else writing.drop()
        if keep is not None:
            state.select(keep)
            current = current[keep]
    completions = []
    for row, (prompt, tokens) in enumerate(zip(prompts, writing.tokens.tolist(), strict=True)):
        ids, finish = ended(tokens, stops)
        completions.append(PairCompletion(ids, finish, book.numbers(row, len(ids)), measured.get(prompt)))
    return completions


def ended(tokens: Sequence[int], stops: frozenset[int]) -> tuple[tuple[int, ...], Finish]:
    """A text's ids up to its first stop token, and why it ends there."""
    end = next((step for step, token in enumerate(tokens) if token in stops), None)
    return tuple(tokens[:end]), "length" if end is None else "stop"


def _without(logits: Tensor, forbidden: Sequence[int]) -> Tensor:
    """Logits of a model that cannot say some tokens. It is asked of both before they are combined, so that neither the mask nor
    the difference can leave nothing else."""
    if not forbidden:
        return logits
    return logits.index_fill(-1, torch.tensor(forbidden, device=logits.device), -torch.inf)


def _fault(pair: Pair, starting: Tensor) -> EngineError:
    return faulty(pair, starting_is_sound=bool(starting.logsumexp(-1).isfinite().all()))
