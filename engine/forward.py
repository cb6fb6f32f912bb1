"""Forward passes over rows whose absolute positions are known, with steering aimed by them.

Owns the meeting of positions and edits: which tokens of this pass are steered in which row, and the record of it. It
knows neither sampling nor scoring; `engine.generation` and `engine.likelihood` are loops around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from engine.edits import Arm, Edits
from engine.errors import EngineError, InputError
from engine.models import LoadedModel
from engine.positions import PositionRule, first_position, leaves_prompt_prefix, steered


@dataclass(frozen=True)
class Steering:
    """What is added (one arm per row, by index) and at which positions."""

    arms: Sequence[Arm]
    rule: PositionRule = "completion"


@dataclass(frozen=True)
class Rows:
    """The rows of a batch: arm, prompt length L and first steered position of each, [batch] int64 on the CPU."""

    arms: Tensor
    lengths: Tensor
    firsts: Tensor

    def pick(self, index: Tensor) -> Rows:
        return Rows(self.arms[index], self.lengths[index], self.firsts[index])


class Runner:
    """A model under one steering; without any it runs as it is."""

    def __init__(self, model: LoadedModel, steering: Steering | None) -> None:
        self.model, self.steering = model, steering
        self._edits = Edits(model, steering.arms) if steering else None
        self._selected: Rows | None = None

    @contextmanager
    def attached(self) -> Iterator[None]:
        with self._edits.attached() if self._edits else nullcontext():
            yield

    def rows(self, lengths: Sequence[int], arms: Sequence[int], markers: Sequence[int | None]) -> Rows:
        rule = self.steering.rule if self.steering else "generated"
        firsts = [first_position(rule, length, marker) for length, marker in zip(lengths, markers, strict=True)]
        return Rows(torch.tensor(arms), torch.tensor(lengths), torch.tensor(firsts))

    @property
    def shares_prompts(self) -> bool:
        """True if the first L−1 positions are unsteered, so rows of one prompt can branch off one prefill."""
        return self.steering is None or leaves_prompt_prefix(self.steering.rule)

    def run(
        self, rows: Rows, ids: Tensor, positions: Tensor, valid: Tensor, mask: Tensor, cache: Cache | None, keep: int
    ) -> tuple[Tensor | None, Tensor]:
        """One pass over `ids`: [batch, seq] at absolute `positions`.

        valid: [batch, seq] bool, False on pads; mask: [batch, past + seq] bool over the cache too; keep: for how many last
        tokens logits are wanted → logits [batch, keep, vocab] (None for keep 0, which skips the LM head) and where this pass
        was steered, [batch, seq] bool.
        """
        touched = torch.zeros_like(valid)
        if self._edits and self.steering:
            if self._selected is not rows:
                self._edits.select(rows.arms)
                self._selected = rows
            touched = steered(self.steering.rule, positions, valid, rows.lengths, rows.firsts)
            self._edits.aim(touched)
        device = self.model.device
        inputs = {
            "input_ids": ids.to(device),
            "position_ids": positions.to(device),
            "attention_mask": mask.to(device),
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        if keep == 0:
            self.model.model.base_model(**inputs)
            return None, touched
        return self.model.model(**inputs, logits_to_keep=keep).logits, touched


@dataclass(frozen=True)
class Prefix:
    """Prompts without their last token, computed. cache: per row; valid, touched: [batch, width] bool, pads on the left."""

    cache: Cache
    valid: Tensor
    touched: Tensor


def prefill(runner: Runner, prompts: Sequence[tuple[int, ...]], rows: Rows) -> Prefix:
    """Compute the first L−1 tokens of every row's prompt: once per prompt where the rule leaves them unsteered, else once per
    prompt and arm; then the cache is branched (specs/engine.md §4 b2)."""
    by_prompt = runner.shares_prompts
    heads = [
        (prompt[:-1], () if by_prompt else (int(arm), int(first)))
        for prompt, arm, first in zip(prompts, rows.arms, rows.firsts, strict=True)
    ]
    owners: dict[object, int] = {}  # a row of each distinct head, for its arm
    for row, head in enumerate(heads):
        owners.setdefault(head, row)
    numbers = {head: number for number, head in enumerate(owners)}
    branch = torch.tensor([numbers[head] for head in heads])
    cache = DynamicCache(config=runner.model.model.config)
    ids, valid = pad([prompts[row][:-1] for row in owners.values()], "left")
    touched = torch.zeros_like(valid)
    if ids.shape[1]:
        positions = (valid.cumsum(1) - 1).clamp_(min=0)
        _, touched = runner.run(rows.pick(torch.tensor(list(owners.values()))), ids, positions, valid, valid, cache, keep=0)
        cache.batch_select_indices(branch)  # indices on the CPU serve layers on any device
    return Prefix(cache, valid[branch], touched[branch])


def pad(sequences: Sequence[Sequence[int]], side: str) -> tuple[Tensor, Tensor]:
    """→ ids [batch, width] int64 (0 on pads, which a mask hides) and valid [batch, width] bool."""
    width = max(map(len, sequences))
    ids = torch.zeros(len(sequences), width, dtype=torch.int64)
    valid = torch.zeros(len(sequences), width, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        span = slice(width - len(sequence), width) if side == "left" else slice(0, len(sequence))
        ids[row, span] = torch.tensor(sequence, dtype=torch.int64)
        valid[row, span] = True
    return ids, valid


@contextmanager
def enough_memory(batch_size: int) -> Iterator[None]:
    """Say how to mend it when a batch does not fit on the device."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"The device ran out of memory with {batch_size} rows per batch; give a smaller --batch-size and run again."
        ) from error


def check_length(model: LoadedModel, tokens: int, advice: str) -> None:
    """Refuse rows that are longer than the model's positions, before anything runs."""
    limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and tokens > limit:
        raise InputError(f"A row needs {tokens} tokens, but {model.name} has {limit} positions; {advice}.")
