"""The state of a run: a reduction of its journal, and nothing else.

Everything that changes a task's state is here, in one table that can be checked by eye. Live and replayed runs go through
the same `RunState.apply`, so replaying a journal gives the live state. No clock, no I/O, no decisions: the scheduler
decides, this file only says what a decision means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gpu_graph.errors import GraphError
from gpu_graph.spec import GraphSpec, TaskSpec


class TaskState(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    SKIPPED = "skipped"


LETTERS: dict[TaskState, str] = dict(zip(TaskState, "QRRD=FTC?S", strict=True))
"""The letter that stands for a state, so that colour never has to."""

GOOD = frozenset({TaskState.SUCCEEDED, TaskState.CACHED})
ACTIVE = frozenset({TaskState.STARTING, TaskState.RUNNING})
ENDED = frozenset(TaskState) - ACTIVE - {TaskState.WAITING}

_ENDINGS = {
    "succeeded": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "timed_out": TaskState.TIMED_OUT,
    "cancelled": TaskState.CANCELLED,
    "lost": TaskState.LOST,
    "requeued": TaskState.WAITING,
}

TRANSITIONS: dict[TaskState, dict[str, TaskState]] = {
    # state:            record in the journal → next state
    TaskState.WAITING: {
        "starting": TaskState.STARTING,
        "cached": TaskState.CACHED,
        "skipped": TaskState.SKIPPED,
        "cancelled": TaskState.CANCELLED,
        "succeeded": TaskState.SUCCEEDED,  # a service that was to be started again, when nothing needs it any more
    },
    TaskState.STARTING: {"started": TaskState.RUNNING, "stopping": TaskState.STARTING, **_ENDINGS},
    TaskState.RUNNING: {"ready": TaskState.RUNNING, "stopping": TaskState.RUNNING, **_ENDINGS},
    TaskState.LOST: {"vacated": TaskState.LOST},
}
"""All that can happen to a task. A state that leads to no other is final."""

Record = Mapping[str, Any]
"""One journal line: {"type": …, "task": id, "at": seconds since the epoch, …}; `opened` and `server` records have no task."""


@dataclass(slots=True)
class TaskRun:
    """Where one task of a run stands. attempt counts from 1 and is 0 before the first; times are seconds since the epoch.

    failures: attempts that count against `retries` (one that a dying server never started does not). stopping: how it will have
    ended once its processes have. vacated: no process of a lost attempt lives any more. Of services: port: where it listens;
    ready_at: since when this attempt answers; served: an attempt has been ready; hopeless: to try again would not help.
    """

    spec: TaskSpec
    state: TaskState = TaskState.WAITING
    attempt: int = 0
    failures: int = 0
    devices: tuple[str, ...] = ()
    exit_code: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    reason: str | None = None
    stopping: str | None = None
    pid: int | None = None
    pid_start: int | None = None
    vacated: bool = False
    port: int | None = None
    ready_at: float | None = None
    served: bool = False
    hopeless: bool = False

    @property
    def ready(self) -> bool:
        """Whether it is a service that answers, and is to go on."""
        return self.state is TaskState.RUNNING and self.ready_at is not None and self.stopping is None


@dataclass(slots=True)
class RunState:
    """One execution of a graph: where each task stands, in declaration order, and how many are in each state."""

    id: str
    graph: GraphSpec
    tasks: dict[str, TaskRun] = field(init=False)
    counts: Counter[TaskState] = field(init=False)
    cancelled: bool = False
    created: float = 0.0
    server: dict[str, Any] = field(default_factory=lambda: {})

    def __post_init__(self) -> None:
        self.tasks = {spec.id: TaskRun(spec) for spec in self.graph.tasks}
        self.counts = Counter({TaskState.WAITING: len(self.tasks)})

    def apply(self, record: Record) -> None:
        """Reduce one record. Raises GraphError for one that cannot follow what came before."""
        kind = record["type"]
        if kind == "opened":
            self.created = record["at"]
        elif kind == "server":
            self.server = dict(record)
        elif kind == "cancel_run":
            self.cancelled = True
        else:
            self._apply_to_task(kind, record)

    def _apply_to_task(self, kind: str, record: Record) -> None:
        task = self.tasks.get(record["task"])
        if task is None:
            raise GraphError(f"journal of {self.id} names task {record['task']!r}, which its graph does not have")
        following = TRANSITIONS.get(task.state, {}).get(kind)
        if following is None:
            raise GraphError(f"journal of {self.id}: {kind!r} cannot follow {task.state} of task {task.spec.id!r}")
        if following is not task.state:
            self.counts[task.state] -= 1
            self.counts[following] += 1
        task.state = following
        if kind == "vacated":
            task.vacated = True
            return
        if kind != "started":  # which may come late, when it is being stopped already, for a reason
            task.reason = record.get("reason")
        if kind == "starting":
            task.attempt, task.devices = record["attempt"], tuple(record["devices"])
            task.exit_code = task.started_at = task.ended_at = task.stopping = task.pid = task.pid_start = task.ready_at = None
            task.port = record.get("port")
        elif kind == "started":
            task.started_at, task.pid, task.pid_start = record["at"], record["pid"], record["pid_start"]
        elif kind == "ready":
            task.ready_at, task.served = record["at"], True
        elif kind == "stopping":
            task.stopping, task.hopeless = record["reason"], task.hopeless or record.get("hopeless", False)
            task.reason = record.get("cause", task.stopping)
        else:
            task.exit_code = record.get("exit_code")
            # Not before it started: an exit file's time is the file system's clock, which lags a little behind.
            task.ended_at = None if following is TaskState.WAITING else max(record["at"], task.started_at or 0.0)
            if following is TaskState.WAITING:
                task.devices = ()
                task.failures += record.get("outcome") in {"failed", "timed_out"}

    @property
    def ended(self) -> bool:
        return all(state in ENDED for state, count in self.counts.items() if count)

    @property
    def state(self) -> str:
        """The run's state as DESIGN §2 derives it from its tasks'."""
        counts = self.counts
        if not self.ended:
            return "queued" if counts[TaskState.WAITING] == len(self.tasks) and not self._has_tried() else "running"
        if counts[TaskState.FAILED] or counts[TaskState.TIMED_OUT] or counts[TaskState.LOST]:
            return "failed"
        return "cancelled" if counts[TaskState.CANCELLED] else "succeeded"

    def _has_tried(self) -> bool:
        return any(task.attempt for task in self.tasks.values())
