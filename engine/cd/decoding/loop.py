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

from engine.cd.decoding.beams import Beam, search
from engine.cd.decoding.book import NumberBook
from engine.cd.decoding.combination import combine
from engine.cd.decoding.forcing import prompt_numbers, score
from engine.cd.decoding.numbers import TokenNumbers
from engine.cd.decoding.state import PairState, check_lengths, faulty, prompt_size, stop_ids, without
from engine.cd.options import check_combination
from engine.cd.pairs.pair import Pair, PairPrompt
from engine.cd.settings import TextSettings
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

    With beams nothing is drawn, so seeds do not matter: rows of one prompt get its texts in their order, the best first.
    `use_cache=False` computes every step from the first token; it is there to be compared with.
    """
    if settings.num_beams is not None:
        yield from _searched(pair, rows, settings, use_cache)
        return
    check_combination(settings)
    sizes = [(row.prompt, settings.max_new_tokens) for row in rows]
    check_lengths(pair, sizes, "shorten the prompts or give a smaller --max-new-tokens")
    order = sorted(range(len(rows)), key=lambda index: prompt_size(rows[index].prompt), reverse=True)
    for start in range(0, len(order), settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        batch = [rows[index] for index in chosen]
        with enough_memory(len(batch)):
            written = _write(pair, batch, settings, use_cache)
        yield from zip(chosen, written, strict=True)


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
        combined = combine(without(starting, forbidden), without(comparison, forbidden), settings)
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


def _searched(
    pair: Pair, rows: Sequence[PairRow], settings: TextSettings, use_cache: bool
) -> Iterator[tuple[int, PairCompletion]]:
    """Beams lose their numbers when they are chosen anew at every step, so those of the best are read off their texts at the
    end."""
    owners: dict[PairPrompt, list[int]] = {}
    for index, row in enumerate(rows):
        owners.setdefault(row.prompt, []).append(index)
    prompts = list(owners)
    waiting: list[tuple[int, PairPrompt, Beam]] = []
    for place, beams in search(pair, prompts, settings, use_cache):
        prompt, indices = prompts[place], owners[prompts[place]]
        if len(indices) > len(beams):
            raise EngineError(
                f"Beam search found {len(beams)} texts for a prompt where {len(indices)} are asked for: the rule leaves no "
                "more ways to go on; give fewer --samples, a smaller --mask or more --num-beams."
            )
        waiting += [(index, prompt, beam) for index, beam in zip(indices, beams, strict=False)]
        if len(waiting) >= settings.batch_size:
            yield from _measured(pair, waiting, settings)
            waiting = []
    yield from _measured(pair, waiting, settings)


def _measured(
    pair: Pair, found: Sequence[tuple[int, PairPrompt, Beam]], settings: TextSettings
) -> Iterator[tuple[int, PairCompletion]]:
    rows = [(prompt, beam.ids) for _, prompt, beam in found]
    for place, generated, prompt in score(pair, rows, settings, (settings.starting_weight, settings.comparison_weight)):
        index, _, beam = found[place]
        yield index, PairCompletion(beam.ids, beam.finish, generated, prompt)


def ended(tokens: Sequence[int], stops: frozenset[int]) -> tuple[tuple[int, ...], Finish]:
    """A text's ids up to its first stop token, and why it ends there."""
    end = next((step for step, token in enumerate(tokens) if token in stops), None)
    return tuple(tokens[:end]), "length" if end is None else "stop"


def _fault(pair: Pair, starting: Tensor) -> EngineError:
    return faulty(pair, starting_is_sound=bool(starting.logsumexp(-1).isfinite().all()))
