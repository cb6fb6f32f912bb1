"""What can be wrong with the services of a graph, as sentences that name the offender. Pure functions of its tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from gpu_graph.addresses import url_words, variable_part
from gpu_graph.spec import TaskSpec

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"/[!-~]*")
_OURS = frozenset({"PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "OMP_NUM_THREADS", "PYTHONUNBUFFERED", "SPT_NOENV"})
"""Variables that every task gets from tiller, besides TILLER_…"""


def service_problems(tasks: Sequence[TaskSpec]) -> list[str]:
    """Fields of services, services that nobody needs, addresses of what is no service, and names that look alike."""
    services = {task.id: task for task in tasks if task.kind == "service"}
    problems: list[str] = []
    for service in services.values():
        problems += _field_problems(service)
    needed = {name for task in tasks for name in task.after}
    problems += [
        f"service {name!r} is in no task's after: nothing would ever start it; give it to the tasks that use it"
        for name in services
        if name not in needed
    ]
    problems += _twins(services)
    for task in tasks:
        wrong = dict.fromkeys(name for name in url_words(task) if name not in services or name not in task.after)
        problems += [_wrong_address(task.id, name, services) for name in wrong]
    return problems


def _field_problems(task: TaskSpec) -> list[str]:
    where = f"service {task.id!r}"
    problems: list[str] = []
    ready = cast("object", task.ready)  # users write run files untyped
    if not isinstance(ready, str) or not (_PATH.fullmatch(ready) or re.fullmatch(r"log:.+", ready)):
        problems.append(f"{where}: ready={ready!r} is neither a path such as '/health' nor 'log:REGEX' for a line of its log")
    elif ready.startswith("log:"):
        try:
            re.compile(ready.removeprefix("log:"))
        except re.error as error:
            problems.append(f"{where}: ready={ready!r} holds no regular expression: {error}")
    if task.start_timeout is None:
        problems.append(f"{where}: start_timeout=None: say how long it may take to become ready, for example '10m'")
    key_env = cast("object", task.key_env)
    if key_env is not None:
        if not isinstance(key_env, str) or not _VARIABLE.fullmatch(key_env):
            problems.append(f"{where}: key_env={key_env!r} is not the name of an environment variable")
        elif key_env.startswith("TILLER_") or key_env in _OURS:
            problems.append(f"{where}: key_env={key_env!r} is set by tiller itself; name the variable that its program reads")
        elif key_env in task.env or key_env in task.env_from:
            problems.append(f"{where}: {key_env!r} is in key_env and in env or env_from: it gets a key made for it, or yours")
    return problems


def _twins(services: Mapping[str, TaskSpec]) -> list[str]:
    alike: dict[str, list[str]] = {}
    for name in services:
        if isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # users write run files untyped
            alike.setdefault(variable_part(name), []).append(name)
    return [
        f"services {', '.join(map(repr, names))} would share the variable TILLER_URL_{variable}; rename one"
        for variable, names in alike.items()
        if len(names) > 1
    ]


def _wrong_address(task: str, name: str, services: Mapping[str, TaskSpec]) -> str:
    said = f"task {task!r} uses @{{{name}.url}}"
    if name == task and name in services:
        return f"{said}, its own address; its own port is @{{port}}, on 127.0.0.1"
    if name in services:
        return f"{said}, but does not come after {name!r}; add it to its after"
    known = ", ".join(map(repr, services)) or "none"
    return f"{said}, but {name!r} is not a service of this graph (services: {known})"
