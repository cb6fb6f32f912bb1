"""A world for the pure scheduler: what it has asked for, and the journals it has written."""

from __future__ import annotations

import pytest

from gpu_graph.events import AttemptEnded, AttemptStarted, CancelRequested, RunAdded, ServiceReady, Start, Write
from gpu_graph.placement import Device, Inventory
from gpu_graph.scheduler import Scheduler
from gpu_graph.spec import GraphSpec, TaskSpec
from gpu_graph.state import RunState


class World:
    """A scheduler, what it has asked for so far, and the records it has written."""

    def __init__(self, gpus: int | list[Device], slots: int) -> None:
        devices = [Device(f"GPU-{i}", i, "", 80) for i in range(gpus)] if isinstance(gpus, int) else gpus
        self.inventory = Inventory.of(devices, slots)
        self._last_port = 0
        self.scheduler = Scheduler(self.inventory, self._some_port)
        self.records: dict[str, list] = {}
        self.states: dict[str, RunState] = {}
        self.started: list[tuple[str, int]] = []
        self.devices: dict[tuple[str, int], tuple[str, ...]] = {}
        self.last: list = []

    def _some_port(self, had: int | None, taken) -> int:
        """The port that a service had, or one that nobody ever had, from 1."""
        self._last_port += 1
        assert self._last_port not in taken
        return had or self._last_port

    def add(self, *tasks: TaskSpec, run: str = "r", allowed=None) -> None:
        self.records[run] = []
        self.states[run] = RunState(run, GraphSpec("g", tasks))
        self.tell(RunAdded(self.states[run], 0.0, allowed))

    def tell(self, *events) -> None:
        self.last = self.scheduler.handle(*events)
        self.scheduler.assert_invariants()
        for action in self.last:
            if isinstance(action, Write):
                self.records[action.run_id].append(action.record)
            elif isinstance(action, Start):
                self.started.append((action.task_id, action.attempt))
                self.devices[action.task_id, action.attempt] = action.devices

    def end(self, task: str, code: int | None = 0, attempt: int = 1, run: str = "r", **said) -> None:
        self.tell(AttemptEnded(run, task, attempt, code, 1.0, **said))

    def begin(self, service: str, attempt: int = 1, run: str = "r") -> None:
        """The service's supervisor lives."""
        self.tell(AttemptStarted(run, service, attempt, 9, 9, 1.0))

    def answer(self, service: str, attempt: int = 1, run: str = "r") -> None:
        self.begin(service, attempt, run)
        self.tell(ServiceReady(run, service, attempt, 1.0))

    def vacate(self, service: str, code: int | None = 143, attempt: int = 1, run: str = "r") -> None:
        """Nothing of the service is left."""
        self.end(service, code, attempt, run, vacated=True)

    def cancel(self, *tasks: str, run: str = "r") -> None:
        self.tell(CancelRequested(run, tasks or None, 1.0))

    def restart(self) -> None:
        """A server that knows nothing but the journals of the runs that have not ended."""
        kept = [run for run in self.states if self.scheduler.run(run)]
        self.scheduler = Scheduler(self.inventory, self._some_port)
        for run in kept:
            replayed = RunState(run, self.states[run].graph)
            for record in self.records[run]:
                replayed.apply(record)
            self.states[run] = replayed
        self.tell(*(RunAdded(self.states[run], 2.0) for run in kept))

    def state(self, task: str, run: str = "r") -> str:
        return str(self.states[run].tasks[task].state)

    def reason(self, task: str, run: str = "r") -> str | None:
        return self.scheduler.reason(run, self.states[run].tasks[task])


@pytest.fixture
def make_world():
    return World


@pytest.fixture
def world():
    return World(gpus=2, slots=4)
