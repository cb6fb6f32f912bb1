"""The scheduler against a world that does anything at any moment: crashes, torn journals, lost supervisors, late news.

The machine plays the edge: it keeps what is true of processes, whatever the scheduler believes, and checks every decision
against that truth. Some tasks are services, whose end is told only when nothing of them is left. A crash forgets the
scheduler, keeps any prefix of what it last decided, lets processes go on and end without it, and gives a fresh scheduler
what the journals say.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from gpu_graph.events import (
    Adopt,
    AttemptEnded,
    AttemptNeverStarted,
    AttemptStarted,
    AttemptVacated,
    CancelRequested,
    DeadlinePassed,
    Quarantine,
    RunAdded,
    RunEnded,
    ServiceReady,
    ServiceUnfit,
    Start,
    Stop,
    Write,
)
from gpu_graph.journal import decode, encode
from gpu_graph.placement import Device, Inventory, need_of
from gpu_graph.scheduler import Scheduler
from gpu_graph.spec import GraphSpec, TaskSpec
from gpu_graph.state import ACTIVE, ENDED, GOOD, RunState
from gpu_graph.validation import device_problems, graph_problems

CODES = st.sampled_from([0, 0, 1, 143])


@dataclass
class Process:
    """What is true of one attempt. orphans: processes that outlive their supervisor."""

    devices: tuple[str, ...]
    alive: bool = True
    orphans: bool = False
    exit_code: int | None = None

    @property
    def uses_devices(self) -> bool:
        return self.alive or self.orphans


@st.composite
def graphs(draw):
    tasks = []
    size = draw(st.integers(1, 7))
    for number in range(size):
        service = number < size - 1 and draw(st.integers(0, 2)) == 0
        after = set(draw(st.sets(st.sampled_from([task.id for task in tasks]), max_size=3))) if tasks else set()
        if number == size - 1:  # a service that nobody needs is refused
            after |= {task.id for task in tasks if task.kind == "service"} - {name for task in tasks for name in task.after}
        tasks.append(
            TaskSpec(
                f"t{number}",
                kind="service" if service else "shell",
                ready="/health" if service else "",
                start_timeout=60.0 if service else None,
                command="true",
                after=tuple(sorted(after)),
                gpus=draw(st.integers(0, 1 if service else 2)),
                gpu_memory=draw(st.sampled_from([None, None, 60])),
                cpus=draw(st.integers(1, 2)),
                timeout=draw(st.sampled_from([None, 5.0])),
                retries=draw(st.integers(0, 2)),
                priority=draw(st.integers(-1, 1)),
            )
        )
    return GraphSpec("g", tuple(tasks))


class SchedulerMachine(RuleBasedStateMachine):
    @initialize(gpus=st.integers(0, 3), slots=st.integers(2, 3))
    def begin(self, gpus, slots):
        self.inventory = Inventory.of([Device(f"GPU-{i}", i, "", 80 if i else 40) for i in range(gpus)], slots)
        self.scheduler = Scheduler(self.inventory, self.some_port)
        self.graphs: dict[str, GraphSpec] = {}
        self.allowed: dict[str, frozenset[str] | None] = {}
        self.journals: dict[str, list[bytes]] = {}
        self.ports: dict[tuple[str, str], int] = {}
        self.last_port = 0
        self.finished: set[str] = set()
        self.processes: dict[tuple[str, str, int], Process] = {}
        self.claimed: set[tuple[str, str, int]] = set()
        self.to_adopt: set[tuple[str, str, int]] = set()
        self.stopping: set[tuple[str, str, int]] = set()
        self.watched: set[tuple[str, str, int]] = set()
        self.swept: set[tuple[str, str, int]] = set()
        self.now = 0.0

    # --- the edge ---

    def some_port(self, had: int | None, taken) -> int:
        """The port that a service had, or one that nobody ever had."""
        self.last_port += 1
        assert self.last_port not in taken
        return had or self.last_port

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def news(self, *events) -> None:
        self.carry_out(self.scheduler.handle(*events))

    def carry_out(self, actions) -> None:
        for action in actions:
            match action:
                case Write(run_id, record):
                    self.journals[run_id].append(encode(record))
                case Start(run_id, task_id, attempt, devices):
                    self.spawn((run_id, task_id, attempt), devices)
                case Adopt(run_id, task_id, attempt):
                    self.to_adopt.add((run_id, task_id, attempt))
                case Stop(run_id, task_id, attempt):
                    key = (run_id, task_id, attempt)
                    self.stopping.add(key)
                    if self.is_service(key) and key not in self.to_adopt and not self.processes[key].alive:
                        self.swept.add(key)
                case Quarantine(run_id, task_id, attempt):
                    self.watched.add((run_id, task_id, attempt))
                case RunEnded(run_id):
                    assert not any(key[0] == run_id and process.uses_devices for key, process in self.processes.items())
                    assert run_id not in self.finished, "a run ended twice"
                    self.finished.add(run_id)

    def spawn(self, key, devices) -> None:
        assert key not in self.processes, "an attempt ran twice"
        assert key not in self.claimed
        busy = {device for process in self.processes.values() if process.uses_devices for device in process.devices}
        assert not busy & set(devices), "a device that processes use was given away"
        state = self.scheduler.run(key[0])
        task = state.tasks[key[1]]
        needs = [state.tasks[name] for name in task.spec.after]
        assert all(need.ready if need.spec.kind == "service" else need.state in GOOD for need in needs), "started too early"
        need = need_of(task.spec, self.inventory, self.allowed[key[0]])
        assert len(devices) == need.count
        assert all(self.inventory.memory_of.get(device, 0) >= need.memory for device in devices)
        assert need.allowed is None or set(devices) <= need.allowed
        self.processes[key] = Process(devices)
        tries = sum(other[:2] == key[:2] for other in self.processes)
        assert tries <= task.spec.retries + 1, "more attempts than its retries allow"
        if task.spec.kind == "service":
            users = [one for one in state.tasks.values() if task.spec.id in one.spec.after]
            assert any(user.state not in ENDED for user in users), "a service was started that nobody needs"
            if any(user.state in ACTIVE for user in users):
                assert self.ports[key[:2]] == task.port, "tasks that run would lose it"
            self.ports[key[:2]] = task.port

    def is_service(self, key) -> bool:
        return next(task for task in self.graphs[key[0]].tasks if task.id == key[1]).kind == "service"

    def replay(self, run_id: str) -> RunState:
        state = RunState(run_id, self.graphs[run_id])
        for line in self.journals[run_id]:
            record = decode(line)
            assert record is not None
            state.apply(record)
        return state

    def alive(self):
        return sorted(key for key, process in self.processes.items() if process.alive and key not in self.to_adopt)

    def living_services(self):
        return [key for key in self.alive() if self.is_service(key)]

    def end(self, key, code, orphans) -> None:
        """The supervisor ends. Of a stopped service that is told only when nothing of it is left."""
        process = self.processes[key]
        process.alive, process.exit_code = False, code
        process.orphans = orphans and self.is_service(key) and key not in self.stopping
        self.news(AttemptEnded(*key, code, self.tick(), vacated=key in self.stopping))

    def sweep(self, key) -> None:
        self.swept.discard(key)
        self.processes[key].orphans = False
        self.news(AttemptEnded(*key, self.processes[key].exit_code, self.tick(), vacated=True))

    def kill_supervisor(self, key, orphans: bool) -> None:
        self.processes[key].alive = False
        self.processes[key].orphans = orphans

    # --- what can happen ---

    @precondition(lambda self: len(self.graphs) < 4)
    @rule(graph=graphs(), restricted=st.booleans())
    def add_run(self, graph, restricted):
        allowed = frozenset(device.id for device in self.inventory.gpus[1:]) if restricted and self.inventory.gpus else None
        assume(not graph_problems(graph) and not device_problems(graph, self.inventory, allowed))
        run_id = f"r{len(self.graphs)}"
        self.graphs[run_id], self.allowed[run_id], self.journals[run_id] = graph, allowed, []
        opened = {"type": "opened", "at": self.tick()}
        self.journals[run_id].append(encode(opened))
        self.news(RunAdded(self.replay(run_id), self.now, allowed))

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def supervisor_lives(self, data):
        self.news(AttemptStarted(*data.draw(st.sampled_from(self.alive())), 1, 1, self.tick()))

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), code=CODES, orphans=st.booleans())
    def attempt_ends(self, data, code, orphans):
        self.end(data.draw(st.sampled_from(self.alive())), code, orphans)

    @precondition(lambda self: self.swept)
    @rule(data=st.data())
    def nothing_is_left_of_a_service(self, data):
        self.sweep(data.draw(st.sampled_from(sorted(self.swept))))

    @precondition(lambda self: self.living_services())
    @rule(data=st.data())
    def service_answers(self, data):
        key = data.draw(st.sampled_from(self.living_services()))
        self.news(AttemptStarted(*key, 1, 1, self.tick()), ServiceReady(*key, self.now))

    @precondition(lambda self: self.living_services())
    @rule(data=st.data(), hopeless=st.booleans())
    def service_is_of_no_use(self, data, hopeless):
        key = data.draw(st.sampled_from(self.living_services()))
        self.news(ServiceUnfit(*key, self.tick(), "not ready in time", hopeless))

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), orphans=st.booleans())
    def supervisor_is_killed(self, data, orphans):
        key = data.draw(st.sampled_from(self.alive()))
        stopped = key in self.stopping  # then the edge says so only when nothing is left
        self.kill_supervisor(key, orphans and not stopped)
        self.news(AttemptEnded(*key, None, self.tick(), "killed", vacated=stopped))

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def supervisor_is_killed_while_a_cancel_comes_in(self, data):
        key = data.draw(st.sampled_from(self.alive()))
        assume(key not in self.stopping)
        self.kill_supervisor(key, True)
        self.news(CancelRequested(key[0], None, self.tick()), AttemptEnded(*key, None, self.now, "killed"))

    @precondition(lambda self: self.watched)
    @rule(data=st.data())
    def orphans_end(self, data):
        key = data.draw(st.sampled_from(sorted(self.watched)))
        self.watched.discard(key)
        self.processes[key].orphans = False
        self.news(AttemptVacated(*key, self.tick()))

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def deadline_passes(self, data):
        key = data.draw(st.sampled_from(self.alive()))
        assume(next(task for task in self.graphs[key[0]].tasks if task.id == key[1]).timeout is not None)
        self.news(DeadlinePassed(*key, self.tick()))

    @precondition(lambda self: self.graphs)
    @rule(data=st.data(), whole=st.booleans())
    def a_person_cancels(self, data, whole):
        run_id = data.draw(st.sampled_from(sorted(self.graphs)))
        names = [task.id for task in self.graphs[run_id].tasks]
        chosen = None if whole else tuple(data.draw(st.sets(st.sampled_from(names), min_size=1)))
        self.news(CancelRequested(run_id, chosen, self.tick()))

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), code=CODES)
    def news_of_something_that_is_over_changes_nothing(self, data, code):
        over = sorted(key for key, process in self.processes.items() if not process.uses_devices and key not in self.to_adopt)
        assume(over)
        key = data.draw(st.sampled_from(over))
        event = data.draw(
            st.sampled_from(
                [
                    AttemptStarted(*key, 1, 1, self.tick()),
                    AttemptEnded(*key, code, self.now),
                    AttemptVacated(*key, self.now),
                    DeadlinePassed(*key, self.now),
                    ServiceReady(*key, self.now),
                    ServiceUnfit(*key, self.now, "late"),
                    AttemptEnded("no-such-run", "t0", 1, code, self.now),
                ]
            )
        )
        assume(key not in self.watched | self.swept)
        assert self.scheduler.handle(event) == []

    @precondition(lambda self: self.graphs)
    @rule(data=st.data())
    def the_server_crashes_and_another_takes_over(self, data):
        if (alive := self.alive()) and data.draw(st.booleans()):  # in the midst of carrying something out
            key = data.draw(st.sampled_from(alive))
            code = data.draw(CODES)
            self.processes[key].alive = False
            self.processes[key].exit_code = code
            actions = self.scheduler.handle(AttemptEnded(*key, code, self.tick()))
            self.carry_out(actions[: data.draw(st.integers(0, len(actions)))])
        for process in self.processes.values():  # while no server lives
            match data.draw(st.sampled_from(["goes on", "ends", "is killed"])) if process.alive else "":
                case "ends":
                    process.alive, process.exit_code = False, data.draw(CODES)
                case "is killed":
                    process.alive, process.orphans = False, data.draw(st.booleans())
        self.to_adopt, self.stopping, self.watched, self.swept = set(), set(), set(), set()
        self.scheduler = Scheduler(self.inventory, self.some_port)
        left = [run_id for run_id in self.graphs if run_id not in self.finished]
        self.news(*(RunAdded(self.replay(run_id), self.tick(), self.allowed[run_id]) for run_id in left))

    @precondition(lambda self: self.to_adopt)
    @rule(data=st.data())
    def adopts(self, data):
        key = data.draw(st.sampled_from(sorted(self.to_adopt)))
        self.to_adopt.discard(key)
        process = self.processes.get(key)
        if process is None:
            self.claimed.add(key)
            self.news(AttemptNeverStarted(*key, self.tick()))
        elif process.alive:
            self.news(AttemptStarted(*key, 1, 1, self.tick()))
        else:
            stopped = key in self.stopping
            process.orphans = process.orphans and not stopped
            ended = AttemptEnded(*key, process.exit_code, self.tick(), vacated=stopped)
            self.news(AttemptStarted(*key, 1, 1, self.now), ended)

    # --- what must hold ---

    @invariant()
    def invariants_hold(self):
        self.scheduler.assert_invariants()

    @invariant()
    def replay_of_the_journal_is_the_live_state(self):
        for run_id in self.graphs:
            live = self.scheduler.run(run_id)
            if live is not None:
                assert self.replay(run_id) == live

    @invariant()
    def no_service_is_up_that_nothing_needs(self):
        for run_id in set(self.graphs) - self.finished:
            tasks = self.scheduler.run(run_id).tasks
            for name, task in tasks.items():
                if task.spec.kind == "service" and task.state in ACTIVE and not task.stopping:
                    assert any(name in user.spec.after and user.state not in ENDED for user in tasks.values())

    @invariant()
    def devices_in_use_are_never_free(self):
        busy = {device for process in self.processes.values() if process.uses_devices for device in process.devices}
        assert not busy & self.scheduler.free

    def ready(self, key) -> bool:
        return self.scheduler.run(key[0]).tasks[key[1]].ready

    def teardown(self):
        """Let all that lives end, without faults: then every run ends and every device is free."""
        if not hasattr(self, "scheduler"):
            return
        for _ in range(10_000):
            if self.to_adopt:
                key = min(self.to_adopt)
                self.to_adopt.discard(key)
                process = self.processes.get(key)
                if process is None:
                    self.claimed.add(key)
                    self.news(AttemptNeverStarted(*key, self.tick()))
                elif not process.alive:
                    process.orphans = False
                    self.news(AttemptEnded(*key, process.exit_code, self.tick(), vacated=key in self.stopping))
            elif self.swept:
                self.sweep(min(self.swept))
            elif self.watched:
                key = min(self.watched)
                self.watched.discard(key)
                self.processes[key].orphans = False
                self.news(AttemptVacated(*key, self.tick()))
            elif unready := [key for key in self.living_services() if key not in self.stopping and not self.ready(key)]:
                self.news(AttemptStarted(*unready[0], 1, 1, self.tick()), ServiceReady(*unready[0], self.now))
            elif ending := [key for key in self.alive() if not self.is_service(key) or key in self.stopping]:
                self.end(ending[0], 0, False)
            else:
                break
            self.scheduler.assert_invariants()
        assert self.finished == set(self.graphs), "a run did not end"
        assert self.scheduler.free == {device.id for device in (*self.inventory.gpus, *self.inventory.slots)}
        for run_id in self.graphs:
            final = self.replay(run_id)
            assert final.ended
            assert not [task for task in final.tasks.values() if task.state in ACTIVE]


_USUAL = settings(max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


def test_any_world_is_scheduled_soundly():
    run_state_machine_as_test(SchedulerMachine, settings=_USUAL)


@pytest.mark.slow
def test_any_world_is_scheduled_soundly_at_length():
    run_state_machine_as_test(SchedulerMachine, settings=settings(_USUAL, max_examples=3000, stateful_step_count=50))
