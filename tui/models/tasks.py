"""The rows of a run's tasks: letter, tree, state in words, where, how long; and what is said about one of them below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpu_graph.state import GOOD
from tui.models import words
from tui.models.columns import Cell, Column, Layout
from tui.models.text import Line, Span, Tone, clip, line, wrap
from tui.models.tree import tree
from tui.models.world import Task, World
from tui.safe_text import clean_name

__all__ = ["COLUMNS", "PREVIEW_COLUMNS", "Layout", "TaskTree", "cells", "detail", "state_words", "urgency"]

COLUMNS = (
    Column("", 1, gap=1),
    Column("task", 17, grow=3, most=44),
    Column("state", 18, grow=4, most=70),
    Column("where", 8, drop=1, grow=1, most=14),
    Column("time", 6, right=True),
)
PREVIEW_COLUMNS = (
    Column("", 1, gap=1),
    Column("", 18, grow=3, most=36),
    Column("", 22, grow=4, most=60),
    Column("", 8, drop=1, grow=1, most=14),
    Column("", 6, right=True),
)
_BAR = 12
_URGENCY = {
    state: at for at, state in enumerate(("failed", "timed_out", "lost", "running", "starting", "waiting", "cancelled"))
}


class TaskTree:
    """The order and branches of one run's tasks, kept while its graph stays."""

    def __init__(self) -> None:
        self._after: dict[str, tuple[str, ...]] = {}
        self.keys: list[str] = []
        self.branches: dict[str, str] = {}
        self.dependents: dict[str, list[str]] = {}

    def update(self, tasks: Mapping[str, Task]) -> None:
        after = {name: task.after for name, task in tasks.items()}
        if after == self._after:
            return
        self._after = after
        rows = tree(after)
        self.keys = [name for name, _ in rows]
        self.branches = dict(rows)
        self.dependents = {}
        for name, needs in after.items():
            for need in needs:
                self.dependents.setdefault(need, []).append(name)


def cells(task: Task, branch: str, known: Mapping[str, Task], world: World, now: float) -> Sequence[Cell]:
    """One row. known: the run's tasks, to count what a waiting one needs."""
    tone = words.tone_of(task.state)
    return (
        words.task_letter(task.state),
        [(branch, Tone.DONE), (clean_name(task.id), Tone.DONE if tone is Tone.DONE else Tone.PLAIN)],
        _state_cell(task, known),
        (words.device_names(task.devices, world.devices.index_of), Tone.DONE if task.ended else Tone.PLAIN),
        _time(task, now),
    )


def urgency(task: Task) -> tuple[int, float]:
    """Sorts what needs a person first: failures, then what runs, what waits, and last what is done (newest first)."""
    return _URGENCY.get(task.state, len(_URGENCY)), -(task.ended_at or 0)


def state_words(task: Task) -> str:
    """State and reason in words."""
    reason = clean_name(task.reason or "")
    match task.state:
        case "waiting":
            return reason or "waiting"
        case "starting" | "running":
            return reason or ("starting" if task.state == "starting" else "running")
        case "succeeded":
            return "done"
        case "cached":
            return f"cached: {reason}" if reason else "cached"
        case "failed":
            exit_words = "" if task.exit_code is None else f"exit {task.exit_code}"
            if reason and exit_words and not reason.startswith("exit"):
                return f"{exit_words}: {reason}"
            return reason or exit_words or "failed"
        case "skipped":
            return reason if reason.startswith("skipped") or not reason else f"skipped: {reason}"
        case state:
            said = state.replace("_", " ")
            return said if not reason or reason == said else f"{said}: {reason}"


def detail(task: Task | None, dependents: Sequence[str], last_line: str, world: World, width: int, height: int) -> list[Line]:
    """Below the tree: the task's attempt and place, its whole reason, its last line, and its neighbours in the graph."""
    if task is None or height < 1:
        return []
    facts = [f"attempt {task.attempt}"] if task.attempt else []
    if task.started_at is not None:
        facts.append(f"started {words.clock(task.started_at)}")
    if task.ended_at is not None:
        facts.append(f"ended {words.clock(task.ended_at)}")
    if task.devices:
        facts.append(words.device_names(task.devices, world.devices.index_of))
    head = line(" ", (clean_name(task.id), Tone.HEADING), "   ", ("   ".join(facts), Tone.PLAIN))
    tone = Tone.PLAIN if task.state == "waiting" else words.tone_of(task.state)
    label = task.progress.label if task.progress and task.state == "running" else ""
    said = clean_name(label) if label and not task.reason else state_words(task)
    lines = [head, *(line(" ", (text, tone)) for text in wrap(said, width - 2, 2))]
    said_of = {
        "last line": last_line,
        "needs": ", ".join(map(clean_name, task.after)),
        "needed by": ", ".join(map(clean_name, dependents)),
    }
    lines += [line((f" {title:<11}", Tone.DONE), clip(text, width - 13)) for title, text in said_of.items() if text]
    return lines[:height]


def _state_cell(task: Task, known: Mapping[str, Task]) -> list[Span]:
    tone = words.tone_of(task.state)
    needs = [name for name in task.after if name in known and known[name].state not in GOOD and not known[name].url]
    if task.state == "waiting" and needs:
        return [(f"needs {needs[0] if len(needs) == 1 else f'{len(needs)} tasks'}", tone)]
    if task.state == "running" and task.progress is not None and not task.reason:
        share = task.progress.share
        return [*words.bar(share, _BAR, tone), (f" {int(min(share, 1) * 100):3} %", Tone.PLAIN)]
    return [(state_words(task), tone)]


def _time(task: Task, now: float) -> Span:
    if task.started_at is None:
        return words.ZERO, Tone.DONE
    if task.ended_at is not None:
        return words.duration(task.ended_at - task.started_at), Tone.DONE
    return words.growing(now - task.started_at), Tone.PLAIN
