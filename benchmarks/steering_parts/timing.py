"""Ways to do the same, timed in turns: each round runs every way once, so that a busy machine slows them all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch


@dataclass
class Times:
    """Seconds of every way, one for each round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, way: str, seconds: float) -> None:
        self.seconds.setdefault(way, []).append(seconds)

    def median(self, way: str) -> float:
        return statistics.median(self.seconds[way])

    def ratio(self, way: str, other: str) -> float:
        """How many times as long `way` takes as `other`: the median of the rounds' ratios."""
        return statistics.median(self._ratios(way, other))

    def spread(self, way: str, other: str) -> str:
        ratios = self._ratios(way, other)
        return f"{min(ratios):.2f} – {max(ratios):.2f}"

    def _ratios(self, way: str, other: str) -> list[float]:
        return [mine / its for mine, its in zip(self.seconds[way], self.seconds[other], strict=True)]


def seconds_of(work: Callable[[], object]) -> float:
    wait_for_device()
    began = time.perf_counter()
    work()
    wait_for_device()
    return time.perf_counter() - began


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """After one round that does not count."""
    for work in ways.values():
        work()
    times = Times()
    for _ in range(rounds):
        for way, work in ways.items():
            times.add(way, seconds_of(work))
    return times


def wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def forget_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> str:
    """Since `forget_memory`, for the end of a table's cell; nothing without a GPU."""
    return f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if torch.cuda.is_available() else ""
