"""Which task starts when, on which device: a pure state machine, `handle(event) -> [action]`.

Rules of this file. It has no clock (events carry `at`), no I/O, no asyncio and no processes: the edge turns the world into
events and actions into the world. It decides; what a decision means for a task is `state.py`'s table. The actions of
one call are in order, and a `Write` must be on disk before a later `Start` or `Stop` is carried out: intent comes first.

How it stays fast. A task enters the ready queue when its last dependency ends (a counter, never a scan). Ready tasks
with the same need wait in one heap, so a dispatch looks at the head of each heap: O(kinds of need × log ready). The
first task that does not fit keeps the devices that it could use, so that small later tasks cannot starve it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from gpu_graph.events import (
    Action,
    Adopt,
    AttemptEnded,
    AttemptNeverStarted,
    AttemptStarted,
    AttemptVacated,
    CancelRequested,
    DeadlinePassed,
    Event,
    Quarantine,
    RunAdded,
    RunEnded,
    Start,
    Stop,
    Write,
)
from gpu_graph.placement import Inventory, Need, need_of, place, waiting_reason
from gpu_graph.state import ACTIVE, GOOD, RunState, TaskRun, TaskState

_Ready = tuple[int, int, int, str, str]
"""(−priority, run order, task order, run id, task id): the order of the ready queue."""


@dataclass(slots=True)
class _Run:
    """What the scheduler keeps beside a run's state: counters and edges, derived from the graph."""

    state: RunState
    order: int
    allowed: frozenset[str] | None
    position: dict[str, int]
    missing: dict[str, int]
    dependents: dict[str, list[str]] = field(default_factory=lambda: {})
    quarantined: set[str] = field(default_factory=lambda: set())


class Scheduler:
    """All runs of one host, and the devices they hold."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.free: set[str] = {device.id for device in (*inventory.gpus, *inventory.slots)}
        self.held: dict[tuple[str, str, int], tuple[str, ...]] = {}
        self._runs: dict[str, _Run] = {}
        self._added = 0
        self._ready: dict[Need, list[_Ready]] = {}
        self._actions: list[Action] = []
        self._now = 0.0

    def handle(self, *events: Event) -> list[Action]:
        """Take in what happened; returns what to do about it, in order."""
        for event in events:
            self._now = event.at
            match event:
                case RunAdded():
                    self._add(event)
                case AttemptStarted():
                    self._started(event)
                case AttemptEnded():
                    self._ended(event)
                case AttemptNeverStarted():
                    self._never_started(event)
                case AttemptVacated():
                    self._vacated(event)
                case DeadlinePassed():
                    self._deadline(event)
                case CancelRequested():
                    self._cancel(event)
        self._dispatch()
        actions, self._actions = self._actions, []
        return actions

    def run(self, run_id: str) -> RunState | None:
        """A run that has not ended, or that still holds devices; or None."""
        run = self._runs.get(run_id)
        return run.state if run else None

    def reason(self, run_id: str, task: TaskRun) -> str | None:
        """Why a task is where it is, in a person's words; None when there is nothing to say."""
        run = self._runs.get(run_id)
        if run is None or task.state is not TaskState.WAITING:
            return task.reason
        tasks = run.state.tasks
        needs = [name for name in dict.fromkeys(task.spec.after) if tasks[name].state not in GOOD]
        if needs:
            shown = ", ".join(needs[:3]) + (f" and {len(needs) - 3} more" if len(needs) > 3 else "")
            return f"needs {shown}"
        return waiting_reason(need_of(task.spec, self.inventory, run.allowed), self.free, self.inventory)

    def assert_invariants(self) -> None:
        """What must always hold; tests call it after every event."""
        devices = [device for held in self.held.values() for device in held]
        assert len(devices) == len(set(devices)), "a device is held twice"
        assert not self.free & set(devices), "a held device counts as free"
        for run in self._runs.values():
            state = run.state
            for task in state.tasks.values():
                if task.state in ACTIVE:
                    assert (state.id, task.spec.id, task.attempt) in self.held, "an active task holds nothing"
                    assert all(state.tasks[name].state in GOOD for name in task.spec.after), "started before its dependencies"
                assert run.missing[task.spec.id] == sum(state.tasks[n].state not in GOOD for n in set(task.spec.after))
                if task.spec.id in run.quarantined:
                    assert task.state is TaskState.LOST, "only lost attempts are in quarantine"
                    assert (state.id, task.spec.id, task.attempt) in self.held, "a quarantined attempt holds nothing"
            assert not state.ended or run.quarantined, "an ended run is still scheduled"
        kept = {(run_id, task_id) for run_id, task_id, _ in self.held}
        wanted = {(run_id, name) for run_id, run in self._runs.items() for name in run.quarantined}
        wanted |= {(i, n) for i, run in self._runs.items() for n, task in run.state.tasks.items() if task.state in ACTIVE}
        assert kept == wanted, "devices are held by nobody"

    # --- one method per event ------------------------------------------------------------------------------------------

    def _add(self, event: RunAdded) -> None:
        state = event.run
        self._added += 1
        run = _Run(state, self._added, event.allowed, {name: at for at, name in enumerate(state.tasks)}, {})
        for name, task in state.tasks.items():
            needs = set(task.spec.after)
            run.missing[name] = sum(state.tasks[need].state not in GOOD for need in needs)
            for need in needs:
                run.dependents.setdefault(need, []).append(name)
        self._runs[state.id] = run
        for name, task in state.tasks.items():
            if task.state in ACTIVE or (task.state is TaskState.LOST and not task.vacated):
                self.held[state.id, name, task.attempt] = task.devices
                self.free -= set(task.devices)
                if task.state in ACTIVE:
                    self._actions.append(Adopt(state.id, name, task.attempt))
                else:
                    self._quarantine(run, name)
        # A crash may have come between a task's end and what follows from it: draw those conclusions now.
        for name, task in list(state.tasks.items()):
            if task.state is TaskState.WAITING:
                if state.cancelled:
                    self._write(run, "cancelled", name)
                elif not run.missing[name]:
                    self._enqueue(run, name)
            elif task.state in ACTIVE:
                if state.cancelled and task.stopping != "cancelled":
                    self._stop(run, name, "cancelled")
                elif task.stopping:
                    self._actions.append(Stop(state.id, name, task.attempt))
            elif task.state not in GOOD:
                self._skip_dependents(run, name)
        self._close_if_ended(run)

    def _started(self, event: AttemptStarted) -> None:
        found = self._find(event.run_id, event.task_id, event.attempt)
        if found and found[1].state is TaskState.STARTING:
            self._write(found[0], "started", event.task_id, attempt=event.attempt, pid=event.pid, pid_start=event.pid_start)

    def _ended(self, event: AttemptEnded) -> None:
        found = self._find(event.run_id, event.task_id, event.attempt)
        if not found:
            return
        run, task = found
        # An attempt that is being stopped ends when all of its processes have; one whose supervisor was killed at that very
        # moment may still have some, so it is lost like any other, and the stop goes on in quarantine.
        if event.exit_code is None and not (task.stopping and event.vacated):
            self._write(run, "lost", event.task_id, attempt=task.attempt, reason=event.reason)
            self._quarantine(run, event.task_id)
        else:
            outcome = task.stopping or ("succeeded" if event.exit_code == 0 else "failed")
            reason = event.reason or _why_ended(outcome, event.exit_code, task)
            retry = outcome in {"failed", "timed_out"} and task.failures < task.spec.retries
            kind = "requeued" if retry else outcome
            told = {"attempt": task.attempt, "exit_code": event.exit_code, "reason": reason, "outcome": outcome}
            self._write(run, kind, event.task_id, **told)
            self._release((event.run_id, event.task_id, event.attempt))
        self._draw_conclusions(run, event.task_id)

    def _never_started(self, event: AttemptNeverStarted) -> None:
        found = self._find(event.run_id, event.task_id, event.attempt)
        if not found:
            return
        run, task = found
        if task.state is TaskState.RUNNING:  # it did start: its files have been removed, and its processes may live
            self._write(run, "lost", event.task_id, attempt=event.attempt, reason="the file that names its supervisor is gone")
            self._quarantine(run, event.task_id)
            self._draw_conclusions(run, event.task_id)
            return
        kind = task.stopping or "requeued"
        self._write(run, kind, event.task_id, attempt=event.attempt, reason="its server ended before it started")
        self._release((event.run_id, event.task_id, event.attempt))
        self._draw_conclusions(run, event.task_id)

    def _vacated(self, event: AttemptVacated) -> None:
        run = self._runs.get(event.run_id)
        task = run.state.tasks.get(event.task_id) if run else None
        if run and task and task.attempt == event.attempt and event.task_id in run.quarantined:
            run.quarantined.remove(event.task_id)
            self._write(run, "vacated", event.task_id, attempt=event.attempt)
            self._release((event.run_id, event.task_id, event.attempt))
            self._close_if_ended(run)

    def _deadline(self, event: DeadlinePassed) -> None:
        found = self._find(event.run_id, event.task_id, event.attempt)
        if found and not found[1].stopping:
            self._stop(found[0], event.task_id, "timed_out")

    def _cancel(self, event: CancelRequested) -> None:
        run = self._runs.get(event.run_id)
        if run is None:
            return
        if event.task_ids is None and not run.state.cancelled and not run.state.ended:
            self._write(run, "cancel_run", None)
        for name in run.state.tasks if event.task_ids is None else event.task_ids:
            task = run.state.tasks[name]
            if task.state in ACTIVE and task.stopping != "cancelled":
                self._stop(run, name, "cancelled")
            elif name in run.quarantined:  # it has ended as lost; what is left of it is ended so that its devices come free
                self._actions.append(Stop(run.state.id, name, task.attempt))
            elif task.state is TaskState.WAITING:
                self._write(run, "cancelled", name)
                if event.task_ids is not None:  # else they are all cancelled by this very loop
                    self._skip_dependents(run, name)
        self._close_if_ended(run)

    # --- consequences --------------------------------------------------------------------------------------------------

    def _draw_conclusions(self, run: _Run, name: str) -> None:
        task = run.state.tasks[name]
        if task.state in GOOD:
            for dependent in run.dependents.get(name, ()):
                run.missing[dependent] -= 1
                if not run.missing[dependent] and run.state.tasks[dependent].state is TaskState.WAITING:
                    self._enqueue(run, dependent)
        elif task.state is not TaskState.WAITING:
            self._skip_dependents(run, name)
        elif run.state.cancelled:
            self._write(run, "cancelled", name)
        else:
            self._enqueue(run, name)
        self._close_if_ended(run)

    def _skip_dependents(self, run: _Run, name: str) -> None:
        """Skip all that needs `name`, directly or not."""
        causes = [name]
        for cause in causes:  # grows while it is walked
            ending = run.state.tasks[cause].state
            for dependent in run.dependents.get(cause, ()):
                if run.state.tasks[dependent].state is TaskState.WAITING:
                    self._write(run, "skipped", dependent, reason=f"{cause} {_WAS[ending]}", cause=cause)
                    causes.append(dependent)

    def _quarantine(self, run: _Run, name: str) -> None:
        run.quarantined.add(name)
        self._actions.append(Quarantine(run.state.id, name, run.state.tasks[name].attempt))

    def _close_if_ended(self, run: _Run) -> None:
        if run.state.ended and not run.quarantined and run.state.id in self._runs:
            del self._runs[run.state.id]
            self._actions.append(RunEnded(run.state.id))

    def _stop(self, run: _Run, name: str, why: str) -> None:
        self._write(run, "stopping", name, attempt=run.state.tasks[name].attempt, reason=why)
        self._actions.append(Stop(run.state.id, name, run.state.tasks[name].attempt))

    def _enqueue(self, run: _Run, name: str) -> None:
        spec = run.state.tasks[name].spec
        heap = self._ready.setdefault(need_of(spec, self.inventory, run.allowed), [])
        heapq.heappush(heap, (-spec.priority, run.order, run.position[name], run.state.id, name))

    def _release(self, key: tuple[str, str, int]) -> None:
        freed = set(self.held.pop(key, ()))
        # Two journals are not synced at one instant: after a crash in between, a device may belong to two attempts of two runs,
        # one of which has ended. It stays with the other.
        for devices in self.held.values():
            freed.difference_update(devices)
        self.free |= freed

    def _dispatch(self) -> None:
        """Start what fits, in queue order. A head that does not fit reserves the free devices that it could use."""
        open_needs = {need for need, heap in self._ready.items() if heap}
        usable = set(self.free)
        while open_needs and usable:
            need = min(open_needs, key=lambda candidate: self._ready[candidate][0])
            heap = self._ready[need]
            _, _, _, run_id, name = heap[0]
            run = self._runs.get(run_id)
            if run is None or run.state.tasks[name].state is not TaskState.WAITING:  # cancelled or skipped since it was queued
                heapq.heappop(heap)
            elif (devices := place(need, usable, self.inventory)) is not None:
                heapq.heappop(heap)
                usable -= set(devices)
                self._start(run, name, devices)
            else:
                usable -= _could_use(need, usable, self.inventory)
                open_needs.discard(need)
            if not heap:
                open_needs.discard(need)
                del self._ready[need]

    def _start(self, run: _Run, name: str, devices: tuple[str, ...]) -> None:
        attempt = run.state.tasks[name].attempt + 1
        self.free -= set(devices)
        self.held[run.state.id, name, attempt] = devices
        self._write(run, "starting", name, attempt=attempt, devices=list(devices))
        self._actions.append(Start(run.state.id, name, attempt, devices))

    def _write(self, run: _Run, kind: str, name: str | None, **details: object) -> None:
        record: dict[str, object] = {"type": kind, "at": self._now}
        if name is not None:
            record["task"] = name
        record.update((key, value) for key, value in details.items() if value is not None)
        run.state.apply(record)
        self._actions.append(Write(run.state.id, record))

    def _find(self, run_id: str, task_id: str, attempt: int) -> tuple[_Run, TaskRun] | None:
        """The run and task of a living attempt; None for news of one that is over."""
        run = self._runs.get(run_id)
        task = run.state.tasks.get(task_id) if run else None
        if run is None or task is None or task.attempt != attempt or task.state not in ACTIVE:
            return None
        return run, task


_WAS = {
    TaskState.FAILED: "failed",
    TaskState.TIMED_OUT: "timed out",
    TaskState.CANCELLED: "was cancelled",
    TaskState.LOST: "was lost",
    TaskState.SKIPPED: "was skipped",
}


def _why_ended(outcome: str, exit_code: int | None, task: TaskRun) -> str | None:
    if outcome == "timed_out":
        return f"ran longer than its timeout of {task.spec.timeout:g} s"
    if outcome == "failed" and exit_code is not None:
        return f"exit {exit_code}" if exit_code <= 128 else f"exit {exit_code} (signal {exit_code - 128})"
    return None


def _could_use(need: Need, usable: Iterable[str], inventory: Inventory) -> set[str]:
    devices = inventory.gpus if need.on_gpus else inventory.slots
    ids = {device.id for device in devices if device.memory >= need.memory}
    return {device for device in usable if device in ids and (need.allowed is None or device in need.allowed)}
