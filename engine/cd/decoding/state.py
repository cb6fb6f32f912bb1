"""Both members of a pair, computed token by token over the same rows: two runners, two caches, one vocabulary.

Owns what keeps the two in step: prompts of different lengths, each padded on its own side and at its own positions; steering
that touches one member's passes only, even where both are one model; devices. It knows neither combination nor choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.cd.pairs.pair import Member, Pair, PairPrompt
from engine.errors import EngineError
from engine.forward import Runner, check_length, no_numbers
from engine.stepping import CachedSteps, Stepper, UncachedSteps


class PairState:
    """Rows of a batch, of which several may have the same prompt: it is computed once per member.

    steps: how many tokens each row may get. Without a cache every step computes all tokens; that is there to be compared with.
    """

    def __init__(self, pair: Pair, prompts: Sequence[PairPrompt], steps: int, use_cache: bool = True) -> None:
        self._pair = pair
        self._device = pair.starting.model.device
        self._runners = [Runner(member.model, member.steering) for member in (pair.starting, pair.comparison)]
        sides = [prompt.starting for prompt in prompts], [prompt.comparison for prompt in prompts]
        self._steppers = [_stepper(runner, side, steps, use_cache) for runner, side in zip(self._runners, sides, strict=True)]

    def next(self, tokens: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits of S and of C for what comes next, [rows, vocabulary] each, on the device of S. tokens: [rows], what was
        written since the last call, the same for both; none at the first."""
        found = []
        for runner, stepper in zip(self._runners, self._steppers, strict=True):
            with runner.attached():
                logits = stepper.next(tokens)
            found.append(logits[:, : self._pair.vocabulary].to(self._device))
        return found[0], found[1]

    def select(self, index: Tensor) -> None:
        """Go on with these rows, in this order, some of them perhaps several times. index: on the CPU."""
        for stepper in self._steppers:
            stepper.select(index)


def _stepper(runner: Runner, prompts: Sequence[tuple[int, ...]], steps: int, use_cache: bool) -> Stepper:
    rows = runner.rows([len(prompt) for prompt in prompts], [0] * len(prompts), [None] * len(prompts))
    with runner.attached():
        return (CachedSteps if use_cache else UncachedSteps)(runner, prompts, rows, steps)


def stop_ids(pair: Pair) -> frozenset[int]:
    """The tokens that end a text: those of either member, since what follows the end of one's answers is no answer of its. Ids
    beyond the common vocabulary cannot be written."""
    either = pair.starting.model.stop_ids() | pair.comparison.model.stop_ids()
    return frozenset(token for token in either if token < pair.vocabulary)


def check_lengths(pair: Pair, sizes: Sequence[tuple[PairPrompt, int]], advice: str) -> None:
    """Refuse prompts with so many tokens behind them that either member has too few positions for, before anything runs."""
    sides = (
        (pair.starting, [len(prompt.starting) + behind for prompt, behind in sizes]),
        (pair.comparison, [len(prompt.comparison) + behind for prompt, behind in sizes]),
    )
    for member, lengths in sides:
        check_length(member.model, max(lengths, default=0), advice)


def prompt_size(prompt: PairPrompt) -> tuple[object, ...]:
    """To sort by: prompts of like length come together, and equal ones beside each other."""
    return len(prompt.starting), len(prompt.comparison), prompt.starting, prompt.comparison


def without(logits: Tensor, forbidden: Sequence[int]) -> Tensor:
    """Logits of a model that cannot say some tokens. It is asked of both before they are combined, so that neither the mask nor
    the difference can leave nothing else."""
    if not forbidden:
        return logits
    return logits.index_fill(-1, torch.tensor(forbidden, device=logits.device), -torch.inf)


def faulty(pair: Pair, starting_is_sound: bool) -> EngineError:
    """What is said where a member's logits are no numbers."""
    member: Member = pair.comparison if starting_is_sound else pair.starting
    return no_numbers(member.model)
