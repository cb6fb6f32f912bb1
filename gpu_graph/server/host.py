"""The imperative shell round the pure scheduler: actions become journal lines, processes and timers; news becomes events.

One instance holds every living run of the host. Order is everything here: what the scheduler wants written is on disk
before what it wants done is done (`_carry_out`), so that after a crash the journal knows of every attempt that may exist. If
a journal cannot be written (disk full) its run waits, keeping its actions, and is tried again; other runs go on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_graph import run_folder
from gpu_graph.addresses import address_variables, addressed
from gpu_graph.devices import Provider
from gpu_graph.errors import GraphError
from gpu_graph.events import (
    Action,
    Adopt,
    AttemptEnded,
    CancelRequested,
    Event,
    Quarantine,
    RunAdded,
    RunEnded,
    Start,
    Stop,
    Write,
)
from gpu_graph.files import last_json_line, write_whole
from gpu_graph.journal import Journal
from gpu_graph.local import COULD_NOT_START, Attempt, LocalExecutor
from gpu_graph.placement import Inventory
from gpu_graph.ports import choose_port
from gpu_graph.run_folder import attempt_base
from gpu_graph.scheduler import Scheduler
from gpu_graph.server.deadlines import Deadlines
from gpu_graph.server.intake import Identity, Intake, allowed_devices
from gpu_graph.server.known_workspaces import KnownWorkspaces
from gpu_graph.server.publisher import Publisher
from gpu_graph.server.services import Services
from gpu_graph.server.submission_store import SubmissionStore
from gpu_graph.state import ENDED, Record, RunState, TaskRun, TaskState
from gpu_graph.submission import Submission
from gpu_graph.task_environment import task_argv, task_environment

_RETRY_SECONDS = 1.0

log = logging.getLogger("tiller.server")


@dataclass(slots=True)
class LiveRun:
    """A run in the scheduler, its folder, and what still has to be done for it once its journal is on disk.

    urgent: the journal holds a record that must not wait for the next one to be synced. stuck: it cannot be written now.
    """

    state: RunState
    submission: Submission
    folder: Path
    journal: Journal
    outbox: list[Action] = field(default_factory=lambda: [])
    urgent: bool = False
    stuck: bool = False
    same_boot: bool = True

    def attempt(self, task_id: str, number: int) -> Attempt:
        return Attempt((self.state.id, task_id, number), attempt_base(self.folder, task_id, number))


class Host:
    """Every living run of this host; `finish` adopts nothing and starts nothing, so a later server can take over."""

    def __init__(self, state: Path, provider: Provider, inventory: Inventory, server_id: str) -> None:
        self.inventory = inventory
        self.provider = provider
        self.publisher = Publisher()
        self.runs: dict[str, LiveRun] = {}
        self.workspace_of: dict[str, Path] = {}  # of every run that this server has held, ended ones too
        self.scheduler = Scheduler(inventory, choose_port)
        self.workspaces = KnownWorkspaces(state)
        self._identity = Identity(server_id)
        self._submissions = SubmissionStore(state)
        self._intake = Intake(inventory, self._identity, self._submissions)
        self._executor = LocalExecutor(self.take)
        self._deadlines = Deadlines(self.take)
        self._services = Services(state, self.take)
        self._inbox: list[Event] = []

    # --- what clients ask ----------------------------------------------------------------------------------------------

    def check(self, name: str, digest: str) -> list[str]:
        """The problems of an incoming submission, which is then dropped."""
        return self._intake.check(name, digest)

    def submit(self, name: str, digest: str) -> str:
        """Accept an incoming submission; returns its run id. Raises GraphError, having written nothing."""
        run_id, submission = self._intake.accept(name, digest, self.workspace_of)
        self._carry_out(self.scheduler.handle(self._enliven(run_id, submission, time.time())))
        return run_id

    @property
    def hostname(self) -> str:
        return self._identity.hostname

    def cancel(self, run_id: str, task_ids: tuple[str, ...] | None) -> None:
        """The journal holds the wish when this returns."""
        self.take(CancelRequested(run_id, task_ids, time.time()))
        self._handle_inbox()

    def is_over(self, run_id: str, task: TaskRun) -> bool:
        """Whether there is nothing left of a task to cancel: it has ended, and no process of it is waited for."""
        return task.state in ENDED and (run_id, task.spec.id, task.attempt) not in self.scheduler.held

    def reason(self, run_id: str, task: TaskRun) -> str | None:
        return self.scheduler.reason(run_id, task)

    def progress(self, run_id: str, task: TaskRun) -> dict[str, Any] | None:
        if task.state is not TaskState.RUNNING:
            return None
        return last_json_line(self.runs[run_id].attempt(task.spec.id, task.attempt).file("progress"))

    def holders(self) -> dict[str, tuple[str, str]]:
        """device id → the run and task that hold it."""
        return {device: (key[0], key[1]) for key, devices in self.scheduler.held.items() for device in devices}

    # --- life ----------------------------------------------------------------------------------------------------------

    def adopt_runs(self) -> None:
        """Take over the runs of this host's earlier servers. One that cannot be read now is kept for a later server.

        The scheduler hears of all at once, so that it gives away no device which the last of them holds.
        """
        added: list[RunAdded] = []
        for run_id, submission in self._submissions.read_active().items():
            workspace = Path(submission.workspace)
            folder = workspace / "logs" / run_id
            if (workspace / "logs").is_dir() and not folder.is_dir():
                # The server died before the run was more than a hidden folder, or a person removed it.
                log.warning("run %s has no folder %s: dropped", run_id, folder)
                run_folder.NewRunFolder(workspace, run_id).discard()
                self._submissions.drop(run_id)
                continue
            try:
                added.append(self._enliven(run_id, submission, time.time()))
            except (GraphError, OSError) as error:
                log.error("run %s cannot be adopted: %s", run_id, error)
        self._carry_out(self.scheduler.handle(*added))

    def finish(self) -> None:
        """Let go of everything; tasks go on."""
        self._deadlines.close()
        self._services.close()
        self._executor.close()
        for run in self.runs.values():
            run.journal.close()

    # --- events in, actions out ----------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """News from the world; all news of one turn of the loop is handled, and made durable, together."""
        if not self._inbox:
            asyncio.get_running_loop().call_soon(self._handle_inbox)
        self._inbox.append(event)

    def _handle_inbox(self) -> None:
        events, self._inbox = self._inbox, []
        if events:
            self._carry_out(self.scheduler.handle(*events))

    def _carry_out(self, actions: list[Action]) -> None:
        dirty: dict[str, LiveRun] = {}
        for action in actions:
            run = self.runs.get(action.run_id)
            if run is None:
                continue
            dirty[action.run_id] = run
            if isinstance(action, Write):
                run.journal.append(action.record)
                # "started" only repeats what the supervisor has written itself; every other record is worth waiting for.
                run.urgent |= action.record["type"] != "started"
                self._publish(run, action.record)
                self._deadlines.follow(run.state, action.record)
                self._services.follow(run, action.record)
            else:
                run.outbox.append(action)
        # All journals before all deeds: what one run starts may need what another run's journal is about to give back.
        for run in [run for run in dirty.values() if not run.stuck and self._make_durable(run)]:
            self._do_what_waited(run)

    def _publish(self, run: LiveRun, record: Record) -> None:
        """A task has changed, and with its end what is said of the services that it needed."""
        name = record.get("task")
        self.publisher.publish(run.state.id, name)
        if name is not None and run.state.tasks[name].state in ENDED:
            for need in run.state.tasks[name].spec.after:
                if run.state.tasks[need].port is not None:
                    self.publisher.publish(run.state.id, need)

    def _flush(self, run: LiveRun) -> None:
        if self._make_durable(run):
            self._do_what_waited(run)

    def _make_durable(self, run: LiveRun) -> bool:
        """Write the run's journal, or try again later. False: not now. A record that nothing waits for is not synced."""
        try:
            if run.outbox or run.urgent:
                run.journal.sync()
            else:
                run.journal.write()
        except OSError as error:
            if not run.stuck:
                log.error("journal %s cannot be written: %s; trying again", run.journal.path, error)
            run.stuck = True
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._flush, run)
            return False
        run.stuck = run.urgent = False
        return True

    def _do_what_waited(self, run: LiveRun) -> None:
        outbox, run.outbox = run.outbox, []
        for action in outbox:
            self._do(run, action)

    def _do(self, run: LiveRun, action: Action) -> None:
        match action:
            case Start():
                self._start(run, action)
            case Adopt():
                self._executor.adopt(run.attempt(action.task_id, action.attempt), same_boot=run.same_boot)
            case Stop():
                self._executor.stop(run.attempt(action.task_id, action.attempt))
            case Quarantine():
                self._executor.quarantine(run.attempt(action.task_id, action.attempt))
            case RunEnded():
                run.journal.close()
                del self.runs[run.state.id]
                self._submissions.drop(run.state.id)
                self.publisher.publish(run.state.id, None)
            case Write():
                raise AssertionError("a Write goes to the journal, never to the outbox")

    def _start(self, run: LiveRun, action: Start) -> None:
        own = self._services.own_address(run.state, action.task_id)
        services = self._services.addresses_for(run.state, action.task_id)
        task = addressed(run.state.tasks[action.task_id].spec, own, services)
        attempt = run.attempt(action.task_id, action.attempt)
        submission = run.submission
        env = task_environment(
            submission.environment,
            interpreter=submission.interpreter,
            task=task,
            attempt=attempt,
            workspace=submission.workspace,
            devices=action.devices,
            inventory=self.inventory,
            services=address_variables(task, own, services),
        )
        cwd = str(Path(submission.workspace) / (task.cwd or ""))
        if task.kind == "call":
            try:
                attempt.base.parent.mkdir(mode=0o700, exist_ok=True)
                write_whole(attempt.file("kwargs.json"), json.dumps(task.kwargs).encode())
            except OSError as error:
                self.take(AttemptEnded(*attempt.key, COULD_NOT_START, time.time(), f"could not be started: {error}"))
                return
        self._executor.start(attempt, task_argv(task, attempt, submission.interpreter), env, cwd)

    # --- runs -------------------------------------------------------------------------------------------------------

    def _enliven(self, run_id: str, submission: Submission, now: float) -> RunAdded:
        """Bring a run to life from its folder: the same path for new runs and adopted ones. The caller tells the scheduler."""
        folder = Path(submission.workspace) / "logs" / run_id
        stored = run_folder.load_run(folder)
        if not self._identity.owns(stored.opened):
            raise GraphError(f"it belongs to another host, user or state folder ({stored.opened['host']})")
        allowed = allowed_devices(submission, self.inventory)
        writer = Journal(folder / run_folder.JOURNAL, size=stored.size)
        before = stored.state.server
        here = self._identity.server_record(now)
        same_boot = (before.get("boot"), before.get("pid_namespace")) == (here["boot"], here["pid_namespace"])
        if before.get("pid") != here["pid"] or not same_boot:
            writer.append(here)
            stored.state.apply(here)
        run = LiveRun(stored.state, submission, folder, writer, same_boot=same_boot)
        self.runs[run_id] = run
        self.workspace_of[run_id] = Path(submission.workspace)
        self.workspaces.add(submission.workspace)
        self._deadlines.adopt(stored.state)
        self._services.adopt(run)
        self.publisher.publish(run_id, None)
        return RunAdded(stored.state, now, allowed)
