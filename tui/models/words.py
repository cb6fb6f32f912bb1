"""Numbers and states in a person's words: durations, bars, sizes, letters, and the tone of each."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from gpu_graph.state import LETTERS, TaskState
from tui.models.text import Span, Tone

ZERO = "·"
"""Stands for nothing, so that what is not zero stands out."""

RUN_LETTERS = {"queued": "Q", "running": "R", "paused": "P", "failed": "F", "cancelled": "C", "succeeded": "D"}
FAILURES = frozenset({"failed", "timed_out", "lost"})
ACTIVE_RUNS = frozenset({"queued", "running", "paused"})
ENDED_TASKS = frozenset(str(state) for state in TaskState) - {"waiting", "starting", "running"}

_TONES = {
    "running": Tone.RUNNING,
    "starting": Tone.RUNNING,
    "succeeded": Tone.DONE,
    "cached": Tone.DONE,
    "skipped": Tone.DONE,
    "cancelled": Tone.DONE,
    "failed": Tone.FAILED,
    "timed_out": Tone.FAILED,
    "lost": Tone.ATTENTION,
    "paused": Tone.ATTENTION,
}
_SUBSECOND = 9.95


def tone_of(state: str) -> Tone:
    """The tone of a run's or a task's state."""
    return _TONES.get(state, Tone.PLAIN)


def task_letter(state: str) -> Span:
    return LETTERS[TaskState(state)] if state in set(TaskState) else "?", tone_of(state)


def run_letter(state: str) -> Span:
    return RUN_LETTERS.get(state, "?"), tone_of(state)


def number(value: int | None, tone: Tone = Tone.PLAIN) -> Span:
    """A count; zero is a dim dot."""
    return (f"{value:,}", tone) if value else (ZERO, Tone.DONE)


def duration(seconds: float) -> str:
    """0.4s, 31s, 4m12, 1h03, 2d04."""
    if seconds < _SUBSECOND:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}"
    hours = whole // 3600
    return f"{hours}h{whole % 3600 // 60:02}" if hours < 24 else f"{hours // 24}d{hours % 24:02}"


def growing(seconds: float) -> str:
    """A duration that is still growing, in steps so coarse that a calm screen stays silent on the line."""
    if seconds < 60:
        return f"{int(max(seconds, 0)) // 10 * 10}s"
    if seconds < 600:
        return duration(int(seconds) // 30 * 30)
    return duration(int(seconds) // 60 * 60) if seconds >= 3600 else f"{int(seconds) // 60}m"


def age(seconds: float) -> str:
    """How long ago, in one unit: now, 3m, 25m, 5h, 2d; in steps so coarse that a list of old runs stays silent."""
    if seconds < 60:
        return "now"
    if seconds < 3600:
        minutes = int(seconds) // 60
        return f"{minutes if minutes < 10 else minutes // 5 * 5}m"
    return f"{int(seconds) // 3600}h" if seconds < 48 * 3600 else f"{int(seconds) // 86400}d"


def clock(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))


def day_and_clock(at: float) -> str:
    return time.strftime("%d %b %H:%M", time.localtime(at))


def bar(share: float, width: int, tone: Tone) -> list[Span]:
    """A share of 0–1 as cells, to half a cell; not empty when something is done, not full before all is."""
    halves = round(min(max(share, 0.0), 1.0) * width * 2)
    if share > 0:
        halves = max(halves, 1)
    if share < 1:
        halves = min(halves, width * 2 - 1)
    filled = "█" * (halves // 2) + "▌" * (halves % 2)
    return [(filled, tone), (ZERO * (width - len(filled)), Tone.DONE)]


def size(count: float) -> str:
    """Bytes: 812 B, 4.1 kB, 1.8 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def gib(count: int) -> str:
    """Device memory: 61 G."""
    return f"{count / 2**30:.0f} G"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def device_names(ids: Sequence[str], index_of: Mapping[str, int]) -> str:
    """`GPU 0-2, 5`, `cpu`, `cpu ×4`; an unknown id by its own name."""
    gpus = sorted(index_of[name] for name in ids if name in index_of and not _is_slot(name))
    slots = sum(_is_slot(name) for name in ids)
    unknown = [name for name in ids if name not in index_of and not _is_slot(name)]
    parts = [f"GPU {_ranges(gpus)}"] if gpus else []
    if slots:
        parts.append("cpu" if slots == 1 else f"cpu ×{slots}")
    return ", ".join(parts + unknown)


def _is_slot(device: str) -> bool:
    return re.fullmatch(r"cpu-\d+", device) is not None


def _ranges(numbers: Sequence[int]) -> str:
    """0-2, 5"""
    parts: list[list[int]] = []
    for value in numbers:
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
