"""Services as the host sees them: their addresses and keys, and the watches over those that are starting.

It follows the records that the host writes; it neither starts nor ends a process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gpu_graph.addresses import Address
from gpu_graph.events import Event
from gpu_graph.server.service_keys import ServiceKeys
from gpu_graph.server.service_watch import ServiceWatch
from gpu_graph.state import Record, RunState, TaskState

if TYPE_CHECKING:
    from gpu_graph.server.host import LiveRun


class Services:
    def __init__(self, state: Path, report: Callable[[Event], None]) -> None:
        self._keys = ServiceKeys(state)
        self._watch = ServiceWatch(report)

    def own_address(self, run: RunState, task_id: str) -> Address | None:
        """Where the task itself listens; None unless it is a service."""
        task = run.tasks[task_id]
        if task.port is None:
            return None
        return Address(task.port, self._keys.of(run.id, task_id) if task.spec.key_env is not None else None)

    def addresses_for(self, run: RunState, task_id: str) -> dict[str, Address]:
        """Of the services that the task comes after."""
        found = {name: self.own_address(run, name) for name in run.tasks[task_id].spec.after}
        return {name: address for name, address in found.items() if address is not None}

    def adopt(self, run: LiveRun) -> None:
        """Watch the run's services that an earlier server had started and not seen ready."""
        for task in run.state.tasks.values():
            if task.port is not None and task.state is TaskState.RUNNING and not task.ready and not task.stopping:
                self._begin(run, task.spec.id)

    def follow(self, run: LiveRun, record: Record) -> None:
        """A record was written: a started service is watched, one that is being stopped or has ended is not."""
        task = run.state.tasks.get(record.get("task", ""))
        if task is None or task.spec.kind != "service":
            return
        if record["type"] == "started":
            self._begin(run, task.spec.id)
        else:
            self._watch.end((run.state.id, task.spec.id, task.attempt))

    def close(self) -> None:
        self._watch.close()

    def _begin(self, run: LiveRun, name: str) -> None:
        task, address = run.state.tasks[name], self.own_address(run.state, name)
        if address is not None:
            attempt = run.attempt(name, task.attempt)
            self._watch.begin(attempt, task.spec, address.port, address.key, task.started_at or time.time())
