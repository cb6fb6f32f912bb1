"""The rows of the list of runs, and the preview of the one that the cursor is on."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from tui.models import tasks, words
from tui.models.columns import Cell, Column
from tui.models.text import Line, Span, Tone, line, wrap
from tui.models.world import Run, World
from tui.safe_text import clean_name

BAR = 20

COLUMNS = (
    Column("", 1, gap=1),
    Column("run", 16, grow=4, most=60),
    Column("progress", BAR, drop=2),
    Column("tasks", 9, right=True),
    Column("run", 4, right=True, drop=3, gap=1),
    Column("wait", 5, right=True, drop=4),
    Column("fail", 4, right=True),
    Column("age", 6, right=True, drop=1),
    Column("started", 12, right=True, drop=6),
)

EMPTY = (
    line(),
    line("   No runs here yet."),
    line(),
    line("   ", ("a", Tone.HEADING), " launches one from a run file in runs/, ", ("?", Tone.HEADING), " lists the keys."),
)
LOADING = (line(), line(("   Asking the server …", Tone.DONE)))


def without_server(problem: str, width: int) -> list[Line]:
    """Instead of the list, when there is none because no server could be reached: why, and the next key."""
    said = [line("   ", (text, Tone.ATTENTION)) for text in wrap(problem, width - 6, 6)]
    return [line(), *said, line(), line("   ", ("S", Tone.HEADING), " tries again to start a server.")]


def order(world: World) -> list[str]:
    """Run ids: those that go on first, each group newest first."""
    return [run.id for run in sorted(world.runs.values(), key=lambda run: (not run.active, -run.created_at, run.id))]


def cells(run: Run, now: float) -> Sequence[Cell]:
    failed = run.failed
    name_tone = Tone.PLAIN if run.active or failed else Tone.DONE
    ended = run.ended_at
    return (
        words.run_letter(run.state) if run.adopted else ("?", Tone.ATTENTION),
        (clean_name(run.name), name_tone),
        _progress(run),
        (f"{run.ended:,}/{run.total:,}", Tone.PLAIN if run.active else Tone.DONE),
        words.number(run.running, Tone.RUNNING),
        words.number(run.waiting),
        words.number(failed, Tone.FAILED),
        (
            words.growing(now - run.created_at) if ended is None else words.age(now - ended),
            Tone.PLAIN if run.active else Tone.DONE,
        ),
        (words.day_and_clock(run.created_at), Tone.DONE),
    )


def _progress(run: Run) -> list[Span]:
    """What has ended, its failed part in red at the end."""
    if not run.total:
        return []
    (filled, _), rest = words.bar(run.ended / run.total, BAR, Tone.PLAIN)
    red = min(max(round(run.failed / run.total * BAR), 1), len(filled)) if run.failed else 0
    good = len(filled) - red
    return [(filled[:good], Tone.RUNNING if run.active else Tone.DONE), (filled[good:], Tone.FAILED), rest]


def preview(world: World, run: Run | None, now: float, width: int, height: int) -> list[Line]:
    """What the run is about to a glance: a summary, then its most urgent tasks."""
    if run is None or height < 3:
        return []
    lines = [_headline(run, width), line(f" {_summary(run)}"), line()][: height - 1]
    known = world.tasks.get(run.id)
    if known is None:
        return [*lines, line((" …", Tone.DONE))]
    layout = tasks.Layout.fitted(tasks.PREVIEW_COLUMNS, width)
    for task in heapq.nsmallest(height - len(lines), known.values(), key=tasks.urgency):
        lines.append(layout.row(tasks.cells(task, "", known, world, now)))
    return lines


def _headline(run: Run, width: int) -> Line:
    identity = "" if width < 64 else f"   {run.id}"
    where = "" if run.adopted else f"   on {clean_name(run.host)}, not held by this server"
    return line(" ", (clean_name(run.name), Tone.HEADING), (identity, Tone.DONE), (where, Tone.ATTENTION))


def _summary(run: Run) -> str:
    parts = [run.state]
    if run.active:
        parts.append(f"{run.running} running, {run.waiting} waiting")
    elif run.ended_at is not None:
        parts.append(f"took {words.duration(run.ended_at - run.created_at)}, ended {words.day_and_clock(run.ended_at)}")
    others = [
        f"{run.counts[state]} {state.replace('_', ' ')}"
        for state in ("failed", "timed_out", "lost", "cancelled", "skipped", "cached")
        if run.counts.get(state)
    ]
    return "   ".join([*parts, *others, *([f"started {words.day_and_clock(run.created_at)}"] if run.active else [])])
