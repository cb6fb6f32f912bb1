"""All that the console knows of runs, tasks and devices: a reduction of what the server said, in the order it meant.

Replies and events come over several connections, so each carries the server's `seq` and an older word never replaces a
newer one. Knows no clock and no socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui.models.words import ACTIVE_RUNS, ENDED_TASKS, FAILURES


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task says it is."""

    done: float
    total: float
    label: str

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Task:
    """One task as the server describes it; times in seconds since the epoch. url: of a service, while it answers."""

    id: str
    state: str
    reason: str | None = None
    attempt: int = 0
    devices: tuple[str, ...] = ()
    exit_code: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    after: tuple[str, ...] = ()
    progress: Progress | None = None
    url: str | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Task:
        return cls(
            said["id"],
            said["state"],
            said["reason"],
            said["attempt"],
            tuple(said["devices"]),
            said["exit_code"],
            said["started_at"],
            said["ended_at"],
            tuple(said["after"]),
            _progress(said.get("progress")),
            said.get("url"),
        )

    @property
    def ended(self) -> bool:
        return self.state in ENDED_TASKS


def _progress(said: object) -> Progress | None:
    """What a task wrote of its progress; it may have written anything."""
    if not isinstance(said, Mapping):
        return None
    done, total, label = said.get("done"), said.get("total"), said.get("label")
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
        return None
    return Progress(done, total, label if isinstance(label, str) else "")


@dataclass(frozen=True, slots=True)
class Run:
    """One run without its tasks. counts: tasks by state."""

    id: str
    name: str
    state: str
    host: str
    workspace: Path
    counts: Mapping[str, int]
    created_at: float
    ended_at: float | None
    adopted: bool

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Run:
        return cls(
            said["id"],
            said["name"],
            said["state"],
            said["host"],
            Path(said["workspace"]),
            said["counts"],
            said["created_at"],
            said["ended_at"],
            said["adopted"],
        )

    @property
    def active(self) -> bool:
        return self.state in ACTIVE_RUNS and self.adopted

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def count(self, states: Iterable[str]) -> int:
        return sum(self.counts.get(state, 0) for state in states)

    @property
    def ended(self) -> int:
        return self.count(ENDED_TASKS)

    @property
    def running(self) -> int:
        return self.count(("running", "starting"))

    @property
    def waiting(self) -> int:
        return self.count(("waiting",))

    @property
    def failed(self) -> int:
        return self.count(FAILURES)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU and its readings; memory in bytes, busy in percent, temperature in °C, power in W; None: it does not say."""

    id: str
    index: int
    name: str
    memory: int
    memory_used: int | None
    busy: int | None
    temperature: int | None
    power: float | None
    holder: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Devices:
    """Everything that can hold a task. holder: run id and task id."""

    gpus: tuple[Gpu, ...] = ()
    slots: tuple[tuple[str, int, tuple[str, str] | None], ...] = ()
    host: str = ""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Devices:
        gpus = tuple(
            Gpu(
                gpu["id"],
                gpu["index"],
                gpu["name"],
                gpu["memory"],
                gpu["memory_used"],
                gpu["busy"],
                gpu["temperature"],
                gpu["power"],
                _holder(gpu["holder"]),
            )
            for gpu in said["gpus"]
        )
        slots = tuple((slot["id"], slot["index"], _holder(slot["holder"])) for slot in said["slots"])
        return cls(gpus, slots, said["host"])

    @property
    def index_of(self) -> dict[str, int]:
        return {gpu.id: gpu.index for gpu in self.gpus}

    @property
    def busy(self) -> int:
        return sum(gpu.holder is not None for gpu in self.gpus)

    @property
    def slots_busy(self) -> int:
        return sum(holder is not None for _, _, holder in self.slots)


def _holder(said: Mapping[str, str] | None) -> tuple[str, str] | None:
    return None if said is None else (said["run"], said["task"])


@dataclass
class World:
    """The state of one workspace's runs, and of the host's devices.

    tasks: of the runs that were asked for. stale: those of them that may have changed while nobody listened. `version` rises
    with every change.
    """

    workspace: Path
    runs: dict[str, Run] = field(default_factory=dict)
    tasks: dict[str, dict[str, Task]] = field(default_factory=dict)
    devices: Devices = field(default_factory=Devices)
    loaded: bool = False
    stale: set[str] = field(default_factory=set)
    version: int = 0
    _seqs: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def begin(self) -> None:
        """A new connection: this server counts its `seq` from anew."""
        self._seqs.clear()

    def apply(self, event: Mapping[str, Any]) -> None:
        """Reduce one event of the subscription, or a reply in an event's clothes (kind status or devices)."""
        kind, seq = event["kind"], event.get("seq", 0)
        if kind == "snapshot":
            self._snapshot(event["runs"], seq)
        elif kind == "devices":
            devices = Devices.of(event["devices"])
            self.version += devices != self.devices
            self.devices = devices
        elif Path(event["run"]["workspace"]) == self.workspace:
            self._run(event["run"], seq)
            if kind == "task":
                self._task(event["run"]["id"], event["task"], seq)
            elif "tasks" in event["run"]:
                self._all_tasks(event["run"], seq)

    def forget(self, run_id: str) -> None:
        """A run that is there no more."""
        if self.runs.pop(run_id, None):
            self.tasks.pop(run_id, None)
            self.stale.discard(run_id)
            self.version += 1

    def _snapshot(self, runs: Sequence[Mapping[str, Any]], seq: int) -> None:
        present = {run["id"] for run in runs}
        for run_id in [name for name in self.runs if name not in present]:
            self.forget(run_id)
        for run in runs:
            self._run(run, seq)
        self.stale.update(self.tasks)
        self.loaded = True
        self.version += 1

    def _run(self, said: Mapping[str, Any], seq: int) -> None:
        if self._newer(said["id"], None, seq):
            run = Run.of(said)
            self.version += self.runs.get(run.id) != run
            self.runs[run.id] = run

    def _task(self, run_id: str, said: Mapping[str, Any], seq: int) -> None:
        tasks = self.tasks.get(run_id)
        if self._newer(run_id, said["id"], seq) and tasks is not None:
            task = Task.of(said)
            self.version += tasks.get(task.id) != task
            tasks[task.id] = task

    def _all_tasks(self, said: Mapping[str, Any], seq: int) -> None:
        run_id = said["id"]
        known = self.tasks.get(run_id, {})
        tasks = {task["id"]: Task.of(task) for task in said["tasks"] if self._newer(run_id, task["id"], seq)}
        for task in said["tasks"]:
            if task["id"] not in tasks and task["id"] in known:
                tasks[task["id"]] = known[task["id"]]
        ordered = {task["id"]: tasks[task["id"]] for task in said["tasks"] if task["id"] in tasks}
        self.version += known != ordered
        self.tasks[run_id] = ordered
        self.stale.discard(run_id)

    def _newer(self, run_id: str, task_id: str | None, seq: int) -> bool:
        """Whether this is no older than what is known, and remember it."""
        if seq < self._seqs.get((run_id, task_id), -1):
            return False
        self._seqs[run_id, task_id] = seq
        return True
