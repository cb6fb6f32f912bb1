"""What can be wrong with a graph before anything starts, as sentences that name the offender.

Pure functions of a GraphSpec (and of a device inventory). Linear in tasks plus dependencies: 100,000 tasks are normal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gpu_graph.placement import Inventory, Need, need_of, why_never
from gpu_graph.service_plan import room_problems
from gpu_graph.service_problems import service_problems
from gpu_graph.spec import GraphSpec, TaskSpec

ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]{0,99}")
RUN_FILES = frozenset({"journal.jsonl", "graph.json", "run_file.py", "git.json"})
"""The run folder's own files: a task's folder lies beside them, so it cannot have their names."""

_SECRET = re.compile(r".*_(KEY|TOKEN|SECRET)", re.IGNORECASE)
_RULE = "use up to 100 letters, digits and _ . = + -, beginning with a letter, digit or _"


def graph_problems(graph: GraphSpec) -> list[str]:
    """Every offender of the graph itself: ids, duplicates, fields, unknown and circular dependencies."""
    problems: list[str] = []
    if not _is_id(graph.name):
        problems.append(f"graph name {graph.name!r}: {_RULE}")
    if not graph.tasks:
        problems.append(f"graph {graph.name!r} has no tasks")
    known: set[str] = set()
    twins: dict[str, None] = {}
    for task in graph.tasks:
        if task.id in known:
            twins[task.id] = None
        known.add(task.id)
        problems += _task_problems(task)
    problems += [f"task {twin!r} is declared more than once" for twin in twins]
    for task in graph.tasks:
        problems += [
            f"task {task.id!r} comes after {name!r}, which is not in the graph" for name in task.after if name not in known
        ]
    if not twins:
        cycle = _find_cycle({task.id: [name for name in task.after if name in known] for task in graph.tasks})
        if cycle:
            problems.append(f"tasks wait for each other in a circle: {' → '.join(cycle)}")
    return problems + service_problems(graph.tasks)


def device_problems(graph: GraphSpec, inventory: Inventory, allowed: frozenset[str] | None = None) -> list[str]:
    """Tasks whose needs no device of this inventory can ever meet, and services that cannot be up beside what needs them.

    The graph itself must be without problems.
    """
    verdicts: dict[Need, str | None] = {}
    problems: list[str] = []
    for task in graph.tasks:
        need = need_of(task, inventory, allowed)
        if need not in verdicts:
            verdicts[need] = why_never(need, inventory)
        if (verdict := verdicts[need]) is not None:
            problems.append(f"task {task.id!r} {verdict}")
    return problems or room_problems(graph, inventory, allowed)


def environment_problems(graph: GraphSpec, environment: Mapping[str, str]) -> list[str]:
    """Variables that tasks declare with env_from and that are not set where the run is submitted."""
    return [
        f"task {task.id!r}: env_from names {name!r}, which is not set here; export it and submit again"
        for task in graph.tasks
        for name in task.env_from
        if name not in environment
    ]


def _is_id(value: object) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _task_problems(task: TaskSpec) -> list[str]:
    where = f"task {task.id!r}"
    problems: list[str] = []
    if not _is_id(task.id):
        problems.append(f"task id {task.id!r}: {_RULE}")
    elif task.id in RUN_FILES:
        problems.append(f"task id {task.id!r} is the name of one of the run folder's own files; choose another")
    if task.kind != "call" and not (task.command and (isinstance(task.command, str) or task.command[0])):
        problems.append(f"{where} has an empty command")
    if task.kind == "call" and not re.fullmatch(r"[^:]+:[A-Za-z_]\w*", task.target):
        problems.append(f"{where}: target {task.target!r} is not 'package.module:function' or 'runs/file.py:function'")
    for name, low in (("gpus", 0), ("cpus", 1), ("retries", 0)):
        value: object = getattr(task, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            said = "restarts" if name == "retries" and task.kind == "service" else name
            problems.append(f"{where}: {said}={value!r} is not a whole number of at least {low}")
    if not isinstance(task.priority, int):  # pyright: ignore[reportUnnecessaryIsInstance]  # users write run files untyped
        problems.append(f"{where}: priority={task.priority!r} is not a whole number")
    words = [task.command] if isinstance(task.command, str) else list(task.command)
    if any("\0" in word for word in [*words, *task.env.values(), task.cwd or ""]):
        problems.append(f"{where}: a NUL character in its command, environment or cwd")
    problems += [
        f"{where}: env= holds a literal for {name!r}; secrets come from the submitter: env_from=[{name!r}]"
        for name in task.env
        if _SECRET.fullmatch(name)
    ]
    problems += [
        f"{where}: env= cannot set {name!r}"
        for name in task.env
        if not name or "=" in name or name.startswith("TILLER_") or name == "CUDA_VISIBLE_DEVICES"
    ]
    return problems


def _find_cycle(after: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle as ids, first repeated at the end, or []. Iterative: chains of 10,000 tasks are normal."""
    missing = {task: len(set(names)) for task, names in after.items()}
    dependents: dict[str, list[str]] = {}
    for task, names in after.items():
        for name in set(names):
            dependents.setdefault(name, []).append(task)
    free = [task for task, count in missing.items() if not count]
    for task in free:  # grows while it is walked
        for dependent in dependents.get(task, ()):
            missing[dependent] -= 1
            if not missing[dependent]:
                free.append(dependent)
    stuck = {task for task, count in missing.items() if count}
    if not stuck:
        return []
    walk = [next(task for task in after if task in stuck)]
    seen = {walk[0]: 0}
    while True:
        step = next(name for name in after[walk[-1]] if name in stuck)
        if step in seen:
            return [*walk[seen[step] :], step][::-1]
        seen[step] = len(walk)
        walk.append(step)
