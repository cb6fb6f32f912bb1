"""(b) What steering costs: the same loop steered and unsteered at equal batch, and both beside the library's `generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.sampling import Sampling
from steering_parts.subjects import Subject
from steering_parts.timing import Times, in_turns

NEW_TOKENS = 64


def compare(subject: Subject, batch: int, rounds: int) -> Times:
    """Greedy answers of a fixed length to prompts of 32 tokens."""
    draw = torch.Generator().manual_seed(2)
    prompts = [tuple(torch.randint(5, subject.vocabulary, (32,), generator=draw).tolist()) for _ in range(batch)]
    return in_turns(
        {
            "generate": _library(subject, prompts),
            "unsteered": _ours(subject, prompts, []),
            "one layer": _ours(subject, prompts, [subject.site]),
            "all layers": _ours(subject, prompts, subject.every_layer),
        },
        rounds,
    )


def _library(subject: Subject, prompts: Sequence[tuple[int, ...]]) -> Callable[[], object]:
    ids = torch.tensor(prompts, device=subject.model.device)
    mask = torch.ones_like(ids)
    lengths = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}

    def work() -> object:
        return subject.model.model.generate(
            ids, attention_mask=mask, do_sample=False, eos_token_id=None, pad_token_id=0, **lengths
        )

    return work


def _ours(subject: Subject, prompts: Sequence[tuple[int, ...]], sites: Sequence[Site]) -> Callable[[], object]:
    rows = [Row(prompt) for prompt in prompts]
    steering = Steering([dict.fromkeys(sites, 0.01 * subject.vector)], "completion") if sites else None
    sampling = Sampling(NEW_TOKENS, temperature=0)
    return lambda: list(generate(subject.model, rows, sampling, steering, len(rows), frozenset()))
