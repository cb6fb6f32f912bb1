"""Which task starts when, on which device: a pure state machine, `handle(event) -> [action]`.

Rules of this file. It has no clock (events carry `at`), no I/O, no asyncio and no processes: the edge turns the world into
events and actions into the world. It decides; what a decision means for a task is `state.py`'s table. The actions of
one call are in order, and a `Write` must be on disk before a later `Start` or `Stop` is carried out: intent comes first.

How it stays fast. A task enters the ready queue when its last dependency ends (a counter, never a scan). A dispatch looks at
the head of each queue of equal needs: O(kinds of need × log ready).

Services. One starts when a dependent has everything else that it needs, and is stopped when its last dependent has ended
(`run_book.py` counts, `room.py` says whether it may come in without deadlock). An attempt of a service has ended only when
none of its processes lives: its end is always confirmed by a Stop. If that end was not ours, it is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

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
    ServiceReady,
    ServiceUnfit,
    Start,
    Stop,
    Write,
)
from gpu_graph.placement import Inventory
from gpu_graph.ready_queue import ReadyQueue
from gpu_graph.reasons import NOT_NEEDED, WAS, why_ended, why_up, why_waiting
from gpu_graph.room import Room
from gpu_graph.run_book import RunBook
from gpu_graph.state import ACTIVE, ENDED, GOOD, RunState, TaskRun, TaskState

Ports = Callable[[int | None, Collection[int]], int]
"""Where a service is to listen: the port that it had, if that can be had again, or None; and ports that are not free."""


class Scheduler:
    """All runs of one host, and the devices they hold."""

    def __init__(self, inventory: Inventory, ports: Ports) -> None:
        self.inventory = inventory
        self._ports = ports
        self.free: set[str] = {device.id for device in (*inventory.gpus, *inventory.slots)}
        self.held: dict[tuple[str, str, int], tuple[str, ...]] = {}
        self._runs: dict[str, RunBook] = {}
        self._added = 0
        self._queue = ReadyQueue(inventory)
        self._room = Room(inventory)
        self._over: list[tuple[RunBook, str]] = []
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
                case ServiceReady():
                    self._service_ready(event)
                case ServiceUnfit():
                    self._service_unfit(event)
                case CancelRequested():
                    self._cancel(event)
            if self._over:
                self._settle()
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
        if run is not None and task.state is TaskState.WAITING:
            return why_waiting(run, task, self.free, self.inventory, self._room)
        if run is not None and task.state in ACTIVE and run.is_service(task.spec.id):
            return why_up(run, task)
        return task.reason

    def assert_invariants(self) -> None:
        """What must always hold; tests call it after every event."""
        devices = [device for held in self.held.values() for device in held]
        assert len(devices) == len(set(devices)), "a device is held twice"
        assert not self.free & set(devices), "a held device counts as free"
        for run in self._runs.values():
            run.assert_sound(self.held)
        kept = {(run_id, task_id) for run_id, task_id, _ in self.held}
        wanted = {(run_id, name) for run_id, run in self._runs.items() for name in run.quarantined}
        wanted |= {(i, n) for i, run in self._runs.items() for n, task in run.state.tasks.items() if task.state in ACTIVE}
        assert kept == wanted, "devices are held by nobody"
        inside = {(i, n) for i, run in self._runs.items() for n in run.plan.users if run.inside(n)}
        assert inside == set(self._room.inside), "a service has a claim that it does not need, or lacks one"

    # --- one method per event ------------------------------------------------------------------------------------------

    def _add(self, event: RunAdded) -> None:
        state = event.run
        self._added += 1
        run = RunBook(state, self._added, event.allowed, self.inventory)
        self._runs[state.id] = run
        for name, task in state.tasks.items():
            if task.state in ACTIVE or (task.state is TaskState.LOST and not task.vacated):
                self.held[state.id, name, task.attempt] = task.devices
                self.free -= set(task.devices)
                if task.state in ACTIVE:
                    self._actions.append(Adopt(state.id, name, task.attempt))
                else:
                    self._quarantine(run, name)
            if run.inside(name):
                self._room.inside[state.id, name] = run
        # A crash may have come between a task's end and what follows from it: draw those conclusions now.
        for name, task in list(state.tasks.items()):
            if task.state is TaskState.WAITING:
                if state.cancelled:
                    self._write(run, "cancelled", name)
                else:
                    self._offer(run, name)
            elif task.state in ACTIVE:
                if state.cancelled and task.stopping != "cancelled":
                    self._stop(run, name, "cancelled")
                elif task.stopping:
                    self._actions.append(Stop(state.id, name, task.attempt))
            elif task.state not in GOOD:
                self._skip_dependents(run, name)
        for service, wanted in run.wanted.items():
            if not wanted:
                self._dismiss(run, service)
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
        if run.is_service(event.task_id):
            self._service_ended(run, task, event)
            return
        # An attempt that is being stopped ends when all of its processes have; one whose supervisor was killed at that very
        # moment may still have some, so it is lost like any other, and the stop goes on in quarantine.
        if event.exit_code is None and not (task.stopping and event.vacated):
            self._write(run, "lost", event.task_id, attempt=task.attempt, reason=event.reason)
            self._quarantine(run, event.task_id)
        else:
            outcome = task.stopping or ("succeeded" if event.exit_code == 0 else "failed")
            self._conclude(run, task, outcome, event.exit_code, event.reason or why_ended(outcome, event.exit_code, task.spec))
            return
        self._draw_conclusions(run, event.task_id)

    def _service_ended(self, run: RunBook, task: TaskRun, event: AttemptEnded) -> None:
        """Whatever it was, look for what is left of it, end that too, and only then conclude."""
        if not event.vacated:
            if not task.stopping:
                ending = why_ended("failed", event.exit_code, task.spec) or "no exit status"
                self._stop(run, event.task_id, "failed", cause=event.reason or f"it ended by itself: {ending}")
            else:
                self._actions.append(Stop(event.run_id, event.task_id, event.attempt))
            return
        outcome = task.stopping or "failed"
        reason = why_ended(outcome, event.exit_code, task.spec) if task.stopping != "failed" else task.reason
        self._conclude(run, task, outcome, event.exit_code, reason)

    def _conclude(self, run: RunBook, task: TaskRun, outcome: str, exit_code: int | None, reason: str | None) -> None:
        """An attempt is over, and nothing of it lives: what it comes to, another attempt or the end of its task."""
        name = task.spec.id
        kind = outcome
        if outcome in {"failed", "timed_out"} and task.failures < task.spec.retries and not task.hopeless:
            if run.is_service(name) and not run.wanted[name]:
                kind = "succeeded"  # it would have been started again, had it been needed a little longer
            elif run.gone_service(name) is None:
                kind = "requeued"
        told = {"attempt": task.attempt, "exit_code": exit_code, "reason": reason, "outcome": outcome}
        self._write(run, kind, name, **told)
        self._release((run.state.id, name, task.attempt))
        self._draw_conclusions(run, name)

    def _never_started(self, event: AttemptNeverStarted) -> None:
        found = self._find(event.run_id, event.task_id, event.attempt)
        if not found:
            return
        run, task = found
        if task.state is TaskState.RUNNING:  # it did start: its files have been removed, and its processes may live
            why = "the file that names its supervisor is gone"
            if run.is_service(event.task_id):
                self._stop(run, event.task_id, task.stopping or "failed", cause=why)
                return
            self._write(run, "lost", event.task_id, attempt=event.attempt, reason=why)
            self._quarantine(run, event.task_id)
            self._draw_conclusions(run, event.task_id)
        elif task.stopping:
            self._conclude(run, task, task.stopping, None, "its server ended before it started")
        else:
            self._write(run, "requeued", event.task_id, attempt=event.attempt, reason="its server ended before it started")
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

    def _service_ready(self, event: ServiceReady) -> None:
        found = self._find(event.run_id, event.task_id, event.attempt)
        if found and found[1].state is TaskState.RUNNING and not found[1].stopping and not found[1].ready:
            run = found[0]
            self._write(run, "ready", event.task_id, attempt=event.attempt)
            for user in run.plan.users[event.task_id]:
                self._offer(run, user)

    def _service_unfit(self, event: ServiceUnfit) -> None:
        found = self._find(event.run_id, event.task_id, event.attempt)
        if found and not found[1].stopping:
            self._stop(found[0], event.task_id, "failed", cause=event.reason, hopeless=event.hopeless or None)

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

    def _draw_conclusions(self, run: RunBook, name: str) -> None:
        task = run.state.tasks[name]
        if task.state in GOOD and not run.is_service(name):
            for dependent in run.dependents.get(name, ()):
                run.missing[dependent] -= 1
                if not run.missing[dependent]:
                    self._offer(run, dependent)
        elif task.state in ENDED:
            self._skip_dependents(run, name)
        elif run.state.cancelled:
            self._write(run, "cancelled", name)
        elif (service := run.gone_service(name)) is not None:
            self._skip_dependents(run, service)
        else:
            self._offer(run, name)
        self._close_if_ended(run)

    def _offer(self, run: RunBook, name: str) -> None:
        """Queue the task if only devices keep it from starting, and the services that it, by what became of it, calls for."""
        called = run.recount(name)
        if run.startable(name):
            self._queue.add(run, name)
        for service in called:
            if run.startable(service):
                self._queue.add(run, service)

    def _settle(self) -> None:
        """What follows, for the services that they needed, from tasks that have just ended."""
        for run, name in self._over:  # grows while it is walked
            self._room.inside.pop((run.state.id, name), None)
            for service in run.close_task(name):
                self._dismiss(run, service)
            self._close_if_ended(run)
        self._over.clear()

    def _dismiss(self, run: RunBook, service: str) -> None:
        """Nothing needs it any more: it is stopped, and ends well if it ever was of use."""
        task = run.state.tasks[service]
        if task.state in ACTIVE and not task.stopping:
            self._stop(run, service, "succeeded")
        elif task.state is TaskState.WAITING:
            kind = "cancelled" if run.state.cancelled else "succeeded" if task.served else "skipped"
            self._write(run, kind, service, reason=NOT_NEEDED)

    def _skip_dependents(self, run: RunBook, name: str) -> None:
        """Skip all that needs `name`, directly or not."""
        causes = [name]
        for cause in causes:  # grows while it is walked
            ending = run.state.tasks[cause].state
            for dependent in run.dependents.get(cause, ()):
                if run.state.tasks[dependent].state is TaskState.WAITING:
                    self._write(run, "skipped", dependent, reason=f"{cause} {WAS[ending]}", cause=cause)
                    causes.append(dependent)

    def _quarantine(self, run: RunBook, name: str) -> None:
        run.quarantined.add(name)
        self._actions.append(Quarantine(run.state.id, name, run.state.tasks[name].attempt))

    def _close_if_ended(self, run: RunBook) -> None:
        if run.state.ended and not run.quarantined and run.state.id in self._runs:
            del self._runs[run.state.id]
            self._actions.append(RunEnded(run.state.id))

    def _stop(self, run: RunBook, name: str, why: str, **details: object) -> None:
        self._write(run, "stopping", name, attempt=run.state.tasks[name].attempt, reason=why, **details)
        self._actions.append(Stop(run.state.id, name, run.state.tasks[name].attempt))

    def _release(self, key: tuple[str, str, int]) -> None:
        freed = set(self.held.pop(key, ()))
        # Two journals are not synced at one instant: after a crash in between, a device may belong to two attempts of two runs,
        # one of which has ended. It stays with the other.
        for devices in self.held.values():
            freed.difference_update(devices)
        self.free |= freed

    def _dispatch(self) -> None:
        for run, name, devices in self._queue.starts(self._runs, self.free, self._room):
            self._start(run, name, devices)

    def _start(self, run: RunBook, name: str, devices: tuple[str, ...]) -> None:
        task = run.state.tasks[name]
        attempt = task.attempt + 1
        self.free -= set(devices)
        self.held[run.state.id, name, attempt] = devices
        port = None
        if run.is_service(name):
            self._room.inside[run.state.id, name] = run
            taken = {port for other in self._runs.values() for port in other.ports()} - {task.port}
            port = self._ports(task.port if run.in_use(name) else None, taken)
        self._write(run, "starting", name, attempt=attempt, devices=list(devices), port=port)
        self._actions.append(Start(run.state.id, name, attempt, devices))

    def _write(self, run: RunBook, kind: str, name: str | None, **details: object) -> None:
        record: dict[str, object] = {"type": kind, "at": self._now}
        if name is not None:
            record["task"] = name
        record.update((key, value) for key, value in details.items() if value is not None)
        run.state.apply(record)
        if name is not None and run.state.tasks[name].state in ENDED and kind != "vacated":
            self._over.append((run, name))
        self._actions.append(Write(run.state.id, record))

    def _find(self, run_id: str, task_id: str, attempt: int) -> tuple[RunBook, TaskRun] | None:
        """The run and task of a living attempt; None for news of one that is over."""
        run = self._runs.get(run_id)
        task = run.state.tasks.get(task_id) if run else None
        if run is None or task is None or task.attempt != attempt or task.state not in ACTIVE:
            return None
        return run, task
