"""The header and footer lines: where am I, what is busy, what went wrong, the minute; and which keys come next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from tui.actions import Action, Situation
from tui.models import words
from tui.models.text import Line, Span, Tone, clip, fit_spans
from tui.models.world import Run, World

_NAME = " tiller  "
_FAILED_LATELY = 24 * 3600.0
_LEAST_PATH = 18


def header(path: Sequence[str], world: World, runs: Iterable[Run], now: float, width: int) -> Line:
    """` tiller  host › run › task      GPUs 3/4 busy   run 3  wait 12  fail 1   14:32`; the left gives way, then the counts."""
    clock: list[Span] = [(words.clock(now), Tone.PLAIN)]
    counts = _counts(runs, now)
    right = [*_gpus(world), *counts, *clock]
    whole = len(_NAME) + cell_len(" › ".join(path))
    for shorter, needed in (([*counts, *clock], whole), (clock, min(whole, len(_NAME) + _LEAST_PATH))):
        if _width(right) + needed + 3 > width:
            right = shorter
    left = _left(path, width - _width(right) - 2)
    gap = width - _width(left) - _width(right) - 1
    return Line((*left, (" " * max(gap, 0), Tone.PLAIN), *right))


def footer(actions: Sequence[Action], situation: Situation, width: int) -> Line:
    """` enter open   a launch   ? help   q leave`; an action that is not possible now is dim."""
    spans: list[Span] = [(" ", Tone.PLAIN)]
    parts: list[list[Span]] = []
    for action in actions:
        possible = action.why_not(situation) is None
        tone = Tone.PLAIN if possible else Tone.DONE
        parts.append([(action.shown, Tone.HEADING if possible else Tone.DONE), (f" {action.title}", tone)])
    while parts and sum(_width(part) + 3 for part in parts) > width and len(parts) > 2:
        del parts[len(parts) - 3]  # the first, help and the way out stay longest
    for index, part in enumerate(parts):
        spans += ([("   ", Tone.PLAIN)] if index else []) + part
    return Line(tuple(fit_spans(spans, width)))


def title(name: str, middle: str, right: str, width: int) -> Line:
    """` RUNS   what is shown                     1 of 6`"""
    left: list[Span] = [(f" {name}", Tone.HEADING), (f"   {middle}" if middle else "", Tone.PLAIN)]
    left = fit_spans(left, max(width - cell_len(right) - 2, 0))
    return Line((*left, (f" {right} ", Tone.DONE)))


def banner(problem: str, lost_at: float, now: float, width: int) -> Line:
    """Instead of the title, while there is no server."""
    old = words.growing(now - lost_at)
    text = f" no server since {words.clock(lost_at)}; what is shown is {old} old. Tasks go on. S starts a server"
    if width > cell_len(text) + 20:
        text += f" ({clip(problem, width - cell_len(text) - 4)})"
    return Line(tuple(fit_spans([(text, Tone.ATTENTION)], width)))


def _left(path: Sequence[str], room: int) -> list[Span]:
    spans: list[Span] = [(_NAME, Tone.HEADING)]
    shown = list(path)
    while len(shown) > 1 and cell_len(" › ".join(shown)) > room - len(_NAME):
        del shown[0]  # the host is known best, the task least
    return [*spans, (clip(" › ".join(shown), max(room - len(_NAME), 0)), Tone.PLAIN)]


def _gpus(world: World) -> list[Span]:
    devices = world.devices
    if devices.gpus:
        return [(f"GPUs {devices.busy}/{len(devices.gpus)} busy   ", Tone.PLAIN)]
    if devices.slots:
        return [(f"slots {devices.slots_busy}/{len(devices.slots)} busy   ", Tone.PLAIN)]
    return []


def _counts(runs: Iterable[Run], now: float) -> list[Span]:
    """Tasks that run and wait, and that failed in runs which go on or ended within a day."""
    running = waiting = failed = 0
    for run in runs:
        if run.active:
            running += run.running
            waiting += run.waiting
        if run.active or now - (run.ended_at or 0) < _FAILED_LATELY:
            failed += run.failed
    return [
        ("run ", Tone.DONE),
        (f"{words.number(running)[0]:<3} ", Tone.RUNNING if running else Tone.DONE),
        ("wait ", Tone.DONE),
        (f"{words.number(waiting)[0]:<3} ", Tone.PLAIN if waiting else Tone.DONE),
        ("fail ", Tone.DONE),
        (f"{words.number(failed)[0]:<3} ", Tone.FAILED if failed else Tone.DONE),
        ("  ", Tone.PLAIN),
    ]


def _width(spans: Sequence[Span]) -> int:
    return sum(cell_len(text) for text, _ in spans)
