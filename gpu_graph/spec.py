"""The immutable description of a task and of a graph, and its JSON form (`graph.json`).

Owns field meanings and units. It does not know how a graph is written (`graph.py`), checked (`validation.py`) or run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast

SCHEMA = 1
"""Version of `graph.json`; a reader refuses a newer one."""

TaskKind = Literal["shell", "call", "service"]

_SIZE_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("", 1024), ("b", 1000), ("ib", 1024))
}
_TIME_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One node of a graph.

    gpus: whole GPUs held while an attempt runs; 0 makes a CPU task. gpu_memory: bytes needed on each GPU, or None.
    cpus: threads given (`OMP_NUM_THREADS`), and slots held by a task placed on CPU slots. timeout: seconds per attempt.
    retries: further attempts after a failed or timed out one. priority: higher first. after: ids whose success it needs.
    command: argv, or a string for `/bin/sh -c` (kinds "shell" and "service"); target and kwargs: a function and its JSON
    arguments ("call"). Of a service: ready: the path that must answer, or "log:REGEX"; start_timeout: seconds from its start
    until then; key_env: the variable through which it takes an API key; its retries are the times it is started again.
    """

    id: str
    kind: TaskKind = "shell"
    command: str | tuple[str, ...] = ()
    target: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=lambda: {})
    after: tuple[str, ...] = ()
    gpus: int = 1
    gpu_memory: int | None = None
    cpus: int = 1
    env: Mapping[str, str] = field(default_factory=lambda: {})
    env_from: tuple[str, ...] = ()
    cwd: str | None = None
    timeout: float | None = None
    retries: int = 0
    priority: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    labels: Mapping[str, Any] = field(default_factory=lambda: {})
    ready: str = ""
    start_timeout: float | None = None
    key_env: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The id, and the fields that differ from their defaults; `from_json` is its inverse."""
        said: dict[str, Any] = {"id": self.id}
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                said[name] = value
        return said

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> TaskSpec:
        """Raises KeyError or TypeError for a field that this version does not know."""
        values = {key: _tuple(value) if key in _TUPLES else value for key, value in said.items()}
        return cls(**values)


def _tuple(value: Any) -> Any:
    return tuple(cast("list[str]", value)) if isinstance(value, list) else value


_TUPLES = {"command", "after", "env_from", "inputs", "outputs"}
_DEFAULTS: dict[str, Any] = {f.name: getattr(TaskSpec(""), f.name) for f in fields(TaskSpec) if f.name != "id"}


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A named set of tasks in the order they were declared."""

    name: str
    tasks: tuple[TaskSpec, ...]
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "name": self.name,
            "description": self.description,
            "tasks": [task.to_json() for task in self.tasks],
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> GraphSpec:
        """Raises ValueError for a schema of a newer tiller."""
        if said["schema"] != SCHEMA:
            raise ValueError(f"graph schema {said['schema']} is not {SCHEMA}: it was written by another tiller version")
        return cls(said["name"], tuple(TaskSpec.from_json(task) for task in said["tasks"]), said.get("description", ""))


def parse_size(value: int | str | None) -> int | None:
    """Bytes from an int or from "18GiB", "80 GB", "512M". Raises ValueError."""
    if value is None or isinstance(value, int):
        if isinstance(value, bool) or (value is not None and value <= 0):
            raise ValueError(f"{value!r} is not a size in bytes")
        return value
    match = _QUANTITY.fullmatch(value.lower()) if isinstance(value, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if not match or match[2] not in _SIZE_UNITS:
        raise ValueError(f"{value!r} is not a size; write for example '18GiB'")
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


def parse_duration(value: float | str | None) -> float | None:
    """Seconds from a number or from "90s", "2h", "1.5d". Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    else:
        match = _QUANTITY.fullmatch(value.lower()) if isinstance(value, str) else None
        if not match or match[2] not in _TIME_UNITS:
            raise ValueError(f"{value!r} is not a duration; write for example '2h' or '90s'")
        seconds = float(match[1]) * _TIME_UNITS[match[2]]
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{value!r} is not a positive duration")
    return seconds
