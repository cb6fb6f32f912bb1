"""How an experiment is written down: `Graph` collects tasks and says, all at once, what is wrong with them.

Pure data: nothing here starts a process or looks at a device. Mistakes are collected while the graph is declared and
raised by `spec()`, so that one message names every offender.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypedDict, Unpack

from gpu_graph.errors import GraphError
from gpu_graph.spec import GraphSpec, TaskSpec, parse_duration, parse_size
from gpu_graph.validation import graph_problems


@dataclass(frozen=True, slots=True)
class Task:
    """The handle that `Graph.shell`, `call` and `service` return: give it to another task's `after`."""

    id: str

    def __str__(self) -> str:
        return self.id


class Options(TypedDict, total=False):
    """What every kind of task takes.

    after: tasks (handles or ids, also of tasks declared later) whose success it needs. gpus: whole GPUs, 0 for a CPU task.
    gpu_memory ("18GiB" or bytes) and timeout ("2h" or seconds, per attempt) take units. cpus: threads. env: extra variables;
    env_from: names that must be set where the run is submitted. cwd: relative to the workspace, its default. retries: further
    attempts after a failure. priority: higher first. inputs, outputs: files it reads and makes. labels: its place in a sweep.
    """

    after: Iterable[Task | str] | Task | str
    gpus: int
    gpu_memory: int | str | None
    cpus: int
    env: Mapping[str, str] | None
    env_from: Sequence[str]
    cwd: str | PurePath | None
    timeout: float | str | None
    retries: int
    priority: int
    inputs: Sequence[str | PurePath]
    outputs: Sequence[str | PurePath]
    labels: Mapping[str, Any] | None


class Graph:
    """A graph of dependent tasks. `name` is part of the run id, so it obeys the rule for ids.

    >>> graph = Graph("sweep")
    >>> vectors = graph.shell("vectors", ["tiller", "steer", "vectors"])
    >>> apply = graph.shell("apply", "tiller steer apply", after=[vectors], gpu_memory="18GiB", timeout="2h", retries=1)
    """

    def __init__(self, name: str, *, description: str = "") -> None:
        self.name = name
        self.description = description
        self._tasks: list[TaskSpec] = []
        self._problems: list[str] = []

    def shell(self, id: str, command: str | Sequence[str | PurePath | float], **options: Unpack[Options]) -> Task:
        """A command: a string runs under `/bin/sh -c`, a list directly (numbers and paths in it become text)."""
        return self._add(id, {"kind": "shell", "command": _argv(command)}, options)

    def service(
        self,
        id: str,
        command: str | Sequence[str | PurePath | float],
        *,
        ready: str = "/health",
        start_timeout: float | str = "10m",
        restarts: int = 3,
        key_env: str | None = None,
        **options: Unpack[Options],
    ) -> Task:
        """A server that is up while tasks need it: those that come after it, which all share it.

        It starts when the first of them could, they wait until it is ready, and it is stopped when the last has ended. It must
        listen on 127.0.0.1, on the port that `@{port}` in its command and `TILLER_PORT` give; they find it by `@{id.url}` and
        `TILLER_URL_<ID>`. ready: a path that must answer with 2xx, or "log:REGEX" for a line of its log. start_timeout: how
        long that may take. restarts: how often it is started again after it ended by itself or was not ready in time.
        key_env: the variable through which its program takes an API key; they get that key as `TILLER_KEY_<ID>`.
        """
        if "retries" in options:
            raise TypeError(f"service {id!r}: a service has restarts=, not retries=")
        work = {"kind": "service", "command": _argv(command), "ready": ready, "key_env": key_env, "retries": restarts}
        return self._add(id, {**work, "start_timeout": start_timeout}, options)

    def call(self, id: str, target: str, kwargs: Mapping[str, Any] | None = None, **options: Unpack[Options]) -> Task:
        """A Python function in a process of its own: "package.module:function" or "runs/file.py:function".

        kwargs and the returned value are JSON; the value is kept beside the task's log as `<attempt>.result.json`.
        """
        return self._add(id, {"kind": "call", "target": target, "kwargs": self._plain(id, "kwargs", kwargs)}, options)

    def spec(self) -> GraphSpec:
        """The checked, immutable graph. Raises GraphError naming every offender."""
        spec = GraphSpec(self.name, tuple(self._tasks), self.description)
        problems = self._problems + graph_problems(spec)
        if problems:
            raise GraphError(problems, heading=f"graph {self.name!r} cannot run:")
        return spec

    def _plain(self, id: str, name: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
        """The mapping as it comes back from JSON."""
        try:
            return json.loads(json.dumps(dict(value or {}), allow_nan=False))
        except (TypeError, ValueError) as error:
            self._problems.append(f"task {id!r}: its {name} are not JSON: {error}")
            return {}

    def _add(self, id: str, work: dict[str, Any], options: Options) -> Task:
        unknown = sorted(set(options) - Options.__annotations__.keys())
        if unknown:
            raise TypeError(f"task {id!r}: unknown option {', '.join(unknown)}; known: {', '.join(Options.__annotations__)}")
        fields: dict[str, Any] = {**work, **options}
        after = options.get("after", ())
        if isinstance(after, (str, Task)):  # a lone id is a natural slip, and iterating it would give its letters
            after = [after]
        fields["after"] = tuple(str(dependency) for dependency in after)
        fields["env"] = {str(key): str(value) for key, value in (options.get("env") or {}).items()}
        fields["labels"] = self._plain(id, "labels", options.get("labels"))
        for name in ("env_from", "inputs", "outputs"):
            values = fields.get(name, ())
            fields[name] = (str(values),) if isinstance(values, (str, PurePath)) else tuple(str(value) for value in values)
        if (cwd := options.get("cwd")) is not None:
            fields["cwd"] = str(cwd)
        parsers: dict[str, Callable[[Any], Any]] = {
            "gpu_memory": parse_size,
            "timeout": parse_duration,
            "start_timeout": parse_duration,
        }
        for name, parse in parsers.items():
            try:
                fields[name] = parse(fields.get(name))
            except ValueError as error:
                self._problems.append(f"task {id!r}: {name}: {error}")
                fields[name] = 1.0 if name == "start_timeout" else None  # what is wrong with it has been said
        self._tasks.append(TaskSpec(id=id, **fields))
        return Task(id)


def _argv(command: str | Sequence[str | PurePath | float]) -> str | tuple[str, ...]:
    return command if isinstance(command, str) else tuple(str(word) for word in command)
