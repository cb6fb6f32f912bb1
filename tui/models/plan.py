"""What a graph would run, before it does: its tasks as a tree with what each needs, and a summary in words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from gpu_graph.spec import GraphSpec, TaskSpec
from tui.models import words
from tui.models.columns import Cell, Column
from tui.models.text import Tone
from tui.models.tree import tree
from tui.safe_text import clean_name

COLUMNS = (
    Column("", 1, gap=1),
    Column("task", 20, grow=2, most=44),
    Column("devices", 14, grow=1, most=22),
    Column("limit", 6, right=True, drop=2),
    Column("command", 16, grow=3, most=120, drop=1),
)
_GROUPS = 6


class Plan:
    """The rows of one graph."""

    def __init__(self, graph: GraphSpec) -> None:
        self._tasks = {task.id: task for task in graph.tasks}
        rows = tree({task.id: task.after for task in graph.tasks})
        self.keys = [name for name, _ in rows]
        self._branches = dict(rows)

    def cells(self, key: str) -> Sequence[Cell]:
        task = self._tasks[key]
        limit = words.duration(task.timeout) if task.timeout else ""
        return (
            "Q",
            [(self._branches[key], Tone.DONE), (task.id, Tone.PLAIN)],
            needs(task),
            (limit, Tone.DONE),
            (clean_name(command(task)), Tone.DONE),
        )


def summary(graph: GraphSpec) -> str:
    """`17 tasks: 7 apply, 7 score, vectors, judge, report; 2 can start at once`"""
    groups: dict[str, int] = {}
    for task in graph.tasks:
        group = re.split(r"[_.=-]", task.id)[0] or task.id
        groups[group] = groups.get(group, 0) + 1
    named = [f"{count} {group}" if count > 1 else group for group, count in groups.items()]
    if len(named) > _GROUPS:
        named = [*named[:_GROUPS], "…"]
    roots = sum(not task.after for task in graph.tasks)
    return f"{words.plural(len(graph.tasks), 'task')}: {', '.join(named)}; {roots:,} need{'s' if roots == 1 else ''} no other"


def needs(task: TaskSpec) -> str:
    """`2 GPUs, 18 G`, `1 cpu`"""
    if task.gpus:
        memory = f", {words.gib(task.gpu_memory)}" if task.gpu_memory else ""
        return words.plural(task.gpus, "GPU") + memory
    return f"{task.cpus} cpu"


def command(task: TaskSpec) -> str:
    if task.kind == "call":
        return f"{task.target}({', '.join(f'{key}={value!r}' for key, value in task.kwargs.items())})"
    return task.command if isinstance(task.command, str) else shlex.join(task.command)
