"""The scheduler's rules, one example each: values in, values out."""

from __future__ import annotations

from gpu_graph.events import (
    Adopt,
    AttemptEnded,
    AttemptNeverStarted,
    AttemptStarted,
    AttemptVacated,
    CancelRequested,
    DeadlinePassed,
    Quarantine,
    RunEnded,
    Stop,
    Write,
)
from gpu_graph.placement import Device
from gpu_graph.spec import TaskSpec
from gpu_graph.state import ENDED, TRANSITIONS, TaskState


def task(id: str, *after: str, **fields) -> TaskSpec:
    return TaskSpec(id, command="true", after=after, **fields)


def test_a_task_starts_when_its_last_dependency_has_succeeded(world):
    world.add(task("a"), task("b"), task("c", "a", "b"))
    world.end("a")
    assert world.state("c") == "waiting"
    assert world.reason("c") == "needs b"
    world.end("b")
    assert world.started == [("a", 1), ("b", 1), ("c", 1)]


def test_dependents_of_a_failed_task_are_skipped_to_the_end_of_the_chain_and_the_rest_goes_on(world):
    world.add(task("bad"), task("mid", "bad"), task("end", "mid"), task("free"))
    world.end("bad", 7)
    assert [world.state(name) for name in ("bad", "mid", "end")] == ["failed", "skipped", "skipped"]
    assert world.states["r"].tasks["end"].reason == "mid was skipped"
    assert world.state("free") == "starting"
    world.end("free")
    assert world.states["r"].state == "failed"
    assert RunEnded("r") in world.last


def test_a_failed_task_with_retries_makes_that_many_further_attempts(world):
    world.add(task("a", retries=2))
    world.end("a", 1)
    world.end("a", 1, attempt=2)
    assert world.state("a") == "starting"
    world.end("a", 1, attempt=3)
    assert world.state("a") == "failed"
    assert world.started == [("a", 1), ("a", 2), ("a", 3)]


def test_an_attempt_that_never_started_spends_no_retry(world):
    world.add(task("a", retries=1))
    world.tell(AttemptNeverStarted("r", "a", 1, 1.0))
    world.end("a", 1, attempt=2)
    assert world.started == [("a", 1), ("a", 2), ("a", 3)]
    world.end("a", 1, attempt=3)
    assert world.state("a") == "failed"


def test_a_lost_attempt_keeps_its_devices_until_none_of_its_processes_lives(world):
    world.add(task("a", gpus=2), task("b", gpus=2))
    world.end("a", None)
    assert world.state("a") == "lost"
    assert Quarantine("r", "a", 1) in world.last
    assert world.started == [("a", 1)]
    world.tell(AttemptVacated("r", "a", 1, 1.0))
    assert world.started == [("a", 1), ("b", 1)]


def test_a_run_whose_last_attempt_was_lost_stays_until_its_devices_are_free_also_over_a_restart(world):
    world.add(task("a", gpus=2))
    world.end("a", None)
    world.add(task("b", gpus=2), run="next")
    world.restart()
    assert world.states["r"].state == "failed"
    assert Quarantine("r", "a", 1) in world.last
    assert world.started == [("a", 1)]
    world.tell(AttemptVacated("r", "a", 1, 1.0))
    assert RunEnded("r") in world.last
    assert ("b", 1) in world.started


def test_a_quarantine_that_is_over_is_not_begun_again_by_the_next_server(world):
    world.add(task("a", gpus=2), task("b", gpus=2))
    world.end("a", None)
    world.tell(AttemptVacated("r", "a", 1, 1.0))
    world.restart()
    assert world.last == [Adopt("r", "b", 1)]


def test_cancel_ends_what_is_left_of_a_lost_attempt(world):
    world.add(task("a"), task("b"))
    world.end("a", None)
    world.cancel("a")
    assert world.last == [Stop("r", "a", 1)]
    assert world.state("a") == "lost"


def test_an_attempt_whose_supervisor_is_killed_in_the_moment_of_its_cancel_keeps_its_devices(world):
    world.add(task("a", gpus=2), task("b", gpus=2), task("c"))
    world.tell(CancelRequested("r", ("a",), 1.0), AttemptEnded("r", "a", 1, None, 1.0))
    assert {Stop("r", "a", 1), Quarantine("r", "a", 1)} <= {a for a in world.last if not isinstance(a, Write)}
    assert world.started == [("a", 1)]


def test_a_cancelled_attempt_without_exit_status_is_cancelled_once_nothing_of_it_lives(world):
    world.add(task("a"))
    world.cancel()
    world.end("a", None, vacated=True)
    assert world.state("a") == "cancelled"
    assert RunEnded("r") in world.last


def test_small_tasks_do_not_starve_a_big_one(world):
    world.add(task("small1"), task("small2"), task("big", gpus=2), task("small3"), task("small4"))
    world.end("small1")
    assert world.started == [("small1", 1), ("small2", 1)], "the freed GPU waits for the big task"
    assert world.reason("big") == "needs 2 GPUs, 1 of 2 free"
    world.end("small2")
    assert world.started[2:] == [("big", 1)]
    world.end("big")
    assert world.started[3:] == [("small3", 1), ("small4", 1)]


def test_a_big_task_that_waits_for_gpus_does_not_hold_up_cpu_tasks(world):
    world.add(task("small"), task("big", gpus=2), task("cpu", gpus=0))
    assert world.started == [("small", 1), ("cpu", 1)]


def test_higher_priority_goes_first_across_runs(world):
    world.add(task("a", gpus=2), task("low", gpus=2, priority=-1), task("usual", gpus=2))
    world.add(task("high", gpus=2, priority=5), run="later")
    world.end("a")
    world.end("high", run="later")
    world.end("usual")
    assert [name for name, _ in world.started] == ["a", "high", "usual", "low"]


def test_a_run_uses_only_the_devices_it_is_allowed(world):
    world.add(task("a"), task("b"), allowed=frozenset({"GPU-1"}))
    assert world.devices == {("a", 1): ("GPU-1",)}
    assert world.reason("b") == "needs 1 GPU, 0 of 1 free"


def test_a_task_gets_gpus_with_the_memory_it_needs(make_world):
    world = make_world(gpus=[Device("small", 0, "", 10), Device("large", 1, "", 80)], slots=1)
    world.add(task("a", gpu_memory=40), task("b"))
    assert world.devices == {("a", 1): ("large",), ("b", 1): ("small",)}


def test_without_gpus_a_task_takes_as_many_cpu_slots_as_it_has_gpus_or_cpus(make_world):
    world = make_world(gpus=0, slots=4)
    world.add(task("a", gpus=3), task("b", gpus=0, cpus=2), task("c"))
    assert world.devices == {("a", 1): ("cpu-0", "cpu-1", "cpu-2")}
    world.end("a")
    assert len(world.devices["b", 1]) == 2
    assert len(world.devices["c", 1]) == 1


def test_cancelling_a_run_stops_what_runs_and_ends_what_waits(world):
    world.add(task("a", gpus=2), task("b"), task("c", "a"))
    world.cancel()
    assert Stop("r", "a", 1) in world.last
    assert [world.state(name) for name in "abc"] == ["starting", "cancelled", "cancelled"]
    world.end("a", 143)
    assert world.state("a") == "cancelled"
    assert world.states["r"].state == "cancelled"


def test_cancelling_one_task_skips_its_dependents_and_lets_the_rest_go_on(world):
    world.add(task("a"), task("b", "a"), task("c"))
    world.cancel("a")
    world.end("a", 143)
    assert [world.state(name) for name in "abc"] == ["cancelled", "skipped", "starting"]
    assert world.states["r"].tasks["b"].reason == "a was cancelled"


def test_a_waiting_task_that_is_cancelled_never_starts(world):
    world.add(task("a", gpus=2), task("b", gpus=2), task("c", "b"))
    world.cancel("b")
    assert [world.state(name) for name in "bc"] == ["cancelled", "skipped"]
    world.end("a")
    assert world.started == [("a", 1)]
    assert world.states["r"].state == "cancelled"


def test_a_task_that_runs_longer_than_its_timeout_is_stopped_and_timed_out(world):
    world.add(task("a", timeout=5.0), task("b", "a"))
    world.tell(DeadlinePassed("r", "a", 1, 5.0))
    assert world.last[-1] == Stop("r", "a", 1)
    world.end("a", 143)
    assert world.state("a") == "timed_out"
    assert world.states["r"].tasks["a"].reason == "ran longer than its timeout of 5 s"
    assert world.state("b") == "skipped"


def test_a_timed_out_attempt_is_retried_but_a_cancelled_run_retries_nothing(world):
    world.add(task("a", timeout=5.0, retries=3), task("b", retries=3))
    world.tell(DeadlinePassed("r", "a", 1, 5.0))
    world.end("a", 143)
    assert ("a", 2) in world.started
    world.cancel()
    world.end("b", 1)
    world.end("a", 1, attempt=2)
    assert world.states["r"].state == "cancelled"
    assert len(world.started) == 3


def test_news_of_an_attempt_that_is_over_is_ignored(world):
    world.add(task("a", retries=1), task("b"))
    world.end("a", 1)
    world.end("a", 0)  # the first attempt once more
    assert world.last == []
    world.tell(AttemptStarted("r", "a", 1, 9, 9, 1.0))
    assert world.last == []
    assert world.states["r"].tasks["a"].attempt == 2


def test_a_restart_adopts_what_ran_before_anything_starts(world):
    world.add(task("a", gpus=2))
    world.add(task("b"), run="first")
    world.cancel(run="r")  # does not free the GPUs: a is being stopped
    world.restart()
    assert Adopt("r", "a", 1) in world.last
    assert Stop("r", "a", 1) in world.last
    assert world.started == [("a", 1)]


def test_no_device_of_a_run_that_is_adopted_later_is_given_to_one_that_is_adopted_first(world):
    world.add(task("x"), task("y", "x", gpus=2))
    world.add(task("z", gpus=1), run="second")
    world.end("x")
    world.restart()
    assert world.started == [("x", 1), ("z", 1)], "y must wait for both GPUs"


def test_a_crash_between_a_failure_and_its_consequences_draws_them_at_the_next_start(world):
    world.add(task("a"), task("b", "a"), task("c", "b"), task("d"))
    world.end("a", 1)
    world.records["r"] = [record for record in world.records["r"] if record["type"] != "skipped"]
    world.restart()
    assert [world.state(name) for name in "abc"] == ["failed", "skipped", "skipped"]


def test_a_crash_between_a_cancel_and_its_consequences_draws_them_at_the_next_start(world):
    world.add(task("a", gpus=2), task("b"))
    world.cancel()
    kept = [record for record in world.records["r"] if record["type"] not in {"stopping", "cancelled"}]
    world.records["r"] = kept
    world.restart()
    assert Stop("r", "a", 1) in world.last
    assert world.state("b") == "cancelled"


def test_the_transition_table_is_closed():
    kinds = {kind for row in TRANSITIONS.values() for kind in row}
    for state, row in TRANSITIONS.items():
        assert set(row.values()) <= set(TaskState)
        if state in ENDED:
            assert set(row.values()) == {state}, f"{state} is final"
    assert kinds == {
        "starting", "started", "ready", "stopping", "requeued", "cached", "skipped", "vacated",
        "succeeded", "failed", "timed_out", "cancelled", "lost",
    }  # fmt: skip
    reached = {TaskState.WAITING} | {following for row in TRANSITIONS.values() for following in row.values()}
    assert reached == set(TaskState)


def test_p16_a_failed_step_skips_what_needs_it_where_the_original_went_on(make_world):
    """specs/steering.md §11 P16, two GPUs. The original claims gen→0, cmp→1, then steer→0 and eval→1 although gen failed."""
    world = make_world(2, slots=1)
    world.add(task("gen"), task("cmp"), task("steer", "gen"), task("eval", "steer"))
    assert world.devices == {("gen", 1): ("GPU-0",), ("cmp", 1): ("GPU-1",)}
    world.end("gen", 1)
    world.end("cmp")
    states = {name: world.state(name) for name in ("gen", "cmp", "steer", "eval")}
    assert states == {"gen": "failed", "cmp": "succeeded", "steer": "skipped", "eval": "skipped"}
    assert world.started == [("gen", 1), ("cmp", 1)]
