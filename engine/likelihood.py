"""How probable given continuations are: the base of A/B evaluation and of judging, without writing anything.

Owns batched scoring of token sequences behind prompts. Full-vocabulary log-probabilities in float32; prompts share their
prefill like in generation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from engine.forward import Runner, Steering, check_length, enough_memory, if_padded, no_numbers, pad, prefill
from engine.models import LoadedModel

_PART = 2**26  # logits that are looked at in float32 at a time: all of a batch's may be several times the model


@dataclass(frozen=True, slots=True)
class Query:
    """After `prompt`: how likely is `continuation`, and, behind it, each of `candidates`?"""

    prompt: tuple[int, ...]
    continuation: tuple[int, ...]
    candidates: tuple[int, ...]
    arm: int = 0
    marker: int | None = None


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Natural log-probabilities: of the continuation as a whole, and of each candidate behind it."""

    continuation: float
    candidates: tuple[float, ...]


@torch.inference_mode()
def likelihoods(
    model: LoadedModel, queries: Sequence[Query], steering: Steering | None = None, batch_size: int = 64
) -> Iterator[tuple[int, Likelihood]]:
    """Yield (index in `queries`, its likelihood), a batch at a time, long prompts first."""
    longest = max((len(query.prompt) + len(query.continuation) for query in queries), default=0)
    check_length(model, longest, "shorten the prompts")
    runner = Runner(model, steering)
    order = sorted(range(len(queries)), key=lambda index: (-len(queries[index].prompt), queries[index].prompt))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        with runner.attached(), enough_memory(len(chosen)):
            answers = _score(runner, [queries[index] for index in chosen])
        yield from zip(chosen, answers, strict=True)


def _score(runner: Runner, batch: Sequence[Query]) -> list[Likelihood]:
    rows = runner.rows(
        [len(query.prompt) for query in batch], [query.arm for query in batch], [query.marker for query in batch]
    )
    ids, valid = pad([(query.prompt[-1], *query.continuation) for query in batch], "right")
    width = ids.shape[1]
    prefix = prefill(runner, [query.prompt for query in batch], rows, width)
    # pads behind a row may reach past the model's last position; they are hidden, so any position does for them
    positions = torch.where(valid, rows.lengths[:, None] - 1 + torch.arange(width), 0)
    mask = if_padded(torch.cat([prefix.valid, valid], 1))
    logits = runner.run(rows, ids, positions, runner.touched(rows, positions, valid), mask, prefix.cache, keep=width)
    assert logits is not None
    wanted = [  # position i of the logits, [batch, width, vocab], predicts what follows i continuation tokens
        (row, step, token)
        for row, query in enumerate(batch)
        for step, token in (*enumerate(query.continuation), *((len(query.continuation), token) for token in query.candidates))
    ]
    row, step, token = torch.tensor(wanted, dtype=torch.int64).view(-1, 3).T.to(logits.device)
    highest, rest = _totals(logits)
    found = (logits[row, step, token].float() - highest[row, step] - rest[row, step]).tolist()  # one transfer for the batch
    if any(math.isnan(value) for value in found):
        raise no_numbers(runner.model)
    values = iter(found)
    return [
        Likelihood(math.fsum(islice(values, len(query.continuation))), tuple(islice(values, len(query.candidates))))
        for query in batch
    ]


def _totals(logits: Tensor) -> tuple[Tensor, Tensor]:
    """log Σ exp over the vocabulary, in two parts that keep the digits of probabilities near 1 when they are subtracted one
    after the other: the highest logit and what is above it. [batch, width, vocab] → [batch, width] float32 each."""
    rows = max(1, _PART // logits[0].numel())
    highest = logits.amax(-1).float()
    parts = zip(logits.split(rows), highest.split(rows), strict=True)
    return highest, torch.cat([(part.float() - top[..., None]).logsumexp(-1) for part, top in parts])
