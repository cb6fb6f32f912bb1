"""(d) LEACE of two classes at hidden size 4096: tiller's closed form by an n × n system, and the library's dense fit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from concept_erasure import LeaceFitter
from torch import Tensor

from engine.steering.editing.linear import erased_and_added, leace_functional
from steering_parts.timing import Times, seconds_of

WIDTH = 4096


@dataclass(frozen=True)
class Erased:
    examples: int
    times: Times
    difference: float  # of erased states, the largest, over the largest state


def compare(examples: int, rounds: int) -> Erased:
    """States of two classes with few strong directions, in float64."""
    draw = torch.Generator().manual_seed(examples)
    mixing = torch.randn(64, WIDTH, generator=draw, dtype=torch.float64)
    x = torch.randn(examples, 64, generator=draw, dtype=torch.float64) @ mixing
    x += 0.5 * torch.randn(examples, WIDTH, generator=draw, dtype=torch.float64)
    labels = torch.arange(examples) % 2
    x[labels == 1] += torch.randn(WIDTH, generator=draw, dtype=torch.float64)
    times = Times()
    erased: dict[str, Tensor] = {}
    ours(x, labels)
    for _ in range(rounds):
        times.add("tiller", seconds_of(lambda: erased.update(tiller=ours(x, labels))))
    times.add("concept-erasure", seconds_of(lambda: erased.update(dense=dense(x, labels))))  # half a minute: once
    return Erased(examples, times, float((erased["tiller"] - erased["dense"]).abs().max() / x.abs().max()))


def ours(x: Tensor, labels: Tensor) -> Tensor:
    v = x[labels == 1].mean(0) - x[labels == 0].mean(0)
    return erased_and_added(0.0, v, leace_functional(x, v), x.mean(0)).moved(x)


def dense(x: Tensor, labels: Tensor) -> Tensor:
    return LeaceFitter.fit(x, labels.double()).eraser(x)
