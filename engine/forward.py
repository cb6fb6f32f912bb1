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
from transformers import Cache

from engine.cache import cache_for
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
        self.device = model.device
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

    def touched(self, rows: Rows, positions: Tensor, valid: Tensor) -> Tensor:
        """Where `rows` are steered. positions: [batch, seq] absolute; valid: [batch, seq] bool, False on pads → the same."""
        if self.steering is None:
            return torch.zeros_like(valid)
        return steered(self.steering.rule, positions, valid, rows.lengths, rows.firsts)

    def run(
        self,
        rows: Rows,
        ids: Tensor,
        positions: Tensor,
        touched: Tensor | None,
        mask: Tensor | None,
        cache: Cache | None,
        keep: int,
    ) -> Tensor | None:
        """One pass over `ids`: [batch, seq] at absolute `positions`.

        touched: [batch, seq] bool on the CPU, where to steer (None: in the same columns as in the pass before); mask: [batch,
        past + seq] bool over the cache too, None if there are no pads; keep: for how many last tokens logits are wanted →
        logits [batch, keep, vocab], or None for keep 0, which skips the LM head.
        """
        if self._edits:
            if self._selected is not rows:
                self._edits.select(rows.arms)
                self._selected = rows
            if touched is not None:
                self._edits.aim(touched)
        inputs = {
            "input_ids": ids.to(self.device),
            "position_ids": positions.to(self.device),
            "attention_mask": None if mask is None else mask.to(self.device),
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        if keep == 0:
            self.model.model.base_model(**inputs)
            return None
        return self.model.model(**inputs, logits_to_keep=keep).logits


@dataclass(frozen=True)
class Prefix:
    """Prompts, computed without their last token. cache: per row; valid, touched: [batch, width] bool, pads on the left.

    With `logits`, [batch, vocab], the last token is computed too and these are what follows it."""

    cache: Cache
    valid: Tensor
    touched: Tensor
    logits: Tensor | None = None


def prefill(runner: Runner, prompts: Sequence[tuple[int, ...]], rows: Rows, room: int, finish: bool = False) -> Prefix:
    """Compute the first L−1 tokens of every row's prompt: once per prompt where the rule leaves them unsteered, else once per
    prompt and arm; then the cache is branched (specs/engine.md §4 b2). room: how many tokens come behind them.

    finish: if no two rows have anything in common, compute the last token in the same pass.
    """
    owners, branch = _shared(runner, prompts, rows)
    alone = len(owners) == len(prompts)
    whole = finish and alone
    ids, valid = pad([prompts[row] if whole else prompts[row][:-1] for row in owners], "left")
    cache = cache_for(runner.model, len(prompts), ids.shape[1] + room)
    if not ids.shape[1]:
        return Prefix(cache, valid[branch], valid[branch])
    owning = rows if alone else rows.pick(torch.tensor(owners))
    positions = (valid.cumsum(1) - 1).clamp_(min=0)
    touched = runner.touched(owning, positions, valid)
    logits = runner.run(owning, ids, positions, touched, if_padded(valid), cache, keep=int(whole))
    if logits is not None:
        return Prefix(cache, valid, touched, logits[:, -1])
    if not alone:
        cache.batch_select_indices(branch)  # indices on the CPU serve layers on any device
    return Prefix(cache, valid[branch], touched[branch])


def _shared(runner: Runner, prompts: Sequence[tuple[int, ...]], rows: Rows) -> tuple[list[int], Tensor]:
    """→ a row of each distinct beginning, and for every row, [batch], which of these it begins with."""
    by_prompt = runner.shares_prompts
    heads = [
        (prompt[:-1], () if by_prompt else (arm, first))
        for prompt, arm, first in zip(prompts, rows.arms.tolist(), rows.firsts.tolist(), strict=True)
    ]
    owners: dict[object, int] = {}
    for row, head in enumerate(heads):
        owners.setdefault(head, row)
    numbers = {head: number for number, head in enumerate(owners)}
    return list(owners.values()), torch.tensor([numbers[head] for head in heads])


def if_padded(valid: Tensor) -> Tensor | None:
    """`valid` as a mask; None if it hides nothing, which lets the model choose its fastest attention."""
    return None if bool(valid.all()) else valid


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


def no_numbers(model: LoadedModel) -> EngineError:
    """What is said where logits are NaN or infinite, which would otherwise be taken for answers."""
    return EngineError(
        f"{model.name} gives NaN or infinite logits; use --dtype float32 or bfloat16, leave out multipliers that are so large, "
        "or check its weights."
    )


def check_length(model: LoadedModel, tokens: int, advice: str) -> None:
    """Refuse rows that are longer than the model's positions, before anything runs."""
    limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and tokens > limit:
        raise InputError(f"A row needs {tokens} tokens, but {model.name} has {limit} positions; {advice}.")
