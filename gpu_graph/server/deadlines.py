"""The timeouts of attempts: one timer each, from its start, also over a change of server. Reports DeadlinePassed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gpu_graph.events import DeadlinePassed, Event
from gpu_graph.local import Key
from gpu_graph.state import Record, RunState, TaskRun, TaskState

_GO_ON = frozenset({"started", "stopping", "ready"})
"""Records after which the attempt still runs."""


class Deadlines:
    """`report` is called in the event loop."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def adopt(self, run: RunState) -> None:
        """Set the timers of attempts that an earlier server started."""
        for task in run.tasks.values():
            if task.state is TaskState.RUNNING:
                self._begin(run.id, task)

    def follow(self, run: RunState, record: Record) -> None:
        """A record was written: an attempt that has started gets its timer, one that has ended loses it."""
        if "attempt" not in record:
            return
        if record["type"] == "started":
            self._begin(run.id, run.tasks[record["task"]])
        elif record["type"] not in _GO_ON and (timer := self._timers.pop((run.id, record["task"], record["attempt"]), None)):
            timer.cancel()

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()

    def _begin(self, run_id: str, task: TaskRun) -> None:
        if task.spec.timeout is not None and task.started_at is not None:
            key = (run_id, task.spec.id, task.attempt)
            left = max(0.0, task.started_at + task.spec.timeout - time.time())
            self._timers[key] = asyncio.get_running_loop().call_later(left, self._passed, key)

    def _passed(self, key: Key) -> None:
        del self._timers[key]
        self._report(DeadlinePassed(*key, time.time()))
