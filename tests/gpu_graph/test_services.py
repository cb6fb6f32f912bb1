"""Services in the scheduler, one rule each, and what is refused about them: values in, values out."""

from __future__ import annotations

import pytest

from gpu_graph import Graph, GraphError
from gpu_graph.addresses import Address, address_variables, addressed
from gpu_graph.events import (
    Adopt,
    AttemptEnded,
    AttemptNeverStarted,
    DeadlinePassed,
    Quarantine,
    RunEnded,
    ServiceReady,
    ServiceUnfit,
    Stop,
)
from gpu_graph.placement import Device, Inventory
from gpu_graph.spec import GraphSpec, TaskSpec
from gpu_graph.validation import device_problems, graph_problems


def task(id: str, *after: str, **fields) -> TaskSpec:
    return TaskSpec(id, command="true", after=after, **{"gpus": 0, **fields})


def service(id: str, *after: str, **fields) -> TaskSpec:
    said = {"gpus": 0, "retries": 3, "ready": "/health", "start_timeout": 60.0, **fields}
    return TaskSpec(id, kind="service", command="serve", after=after, **said)


def names(world) -> list[str]:
    return [name for name, _ in world.started]


# --- a life ---


def test_a_service_starts_when_a_dependent_has_all_else_and_its_dependents_wait_until_it_is_ready(world):
    world.add(service("judge"), task("make"), task("score", "make", "judge"))
    assert names(world) == ["make"]
    assert world.reason("score") == "needs make, judge (waits)"
    assert world.reason("judge") == "starts with the first of 1 task that can use it"
    world.end("make")
    assert names(world) == ["make", "judge"]
    assert world.reason("score") == "needs judge, which is starting"
    world.begin("judge")
    assert world.reason("judge") == "starting: http://127.0.0.1:1/health does not answer yet"
    world.tell(ServiceReady("r", "judge", 1, 1.0))
    assert names(world) == ["make", "judge", "score"]
    assert world.reason("judge") == "ready at http://127.0.0.1:1, needed by 1 task"


def test_it_is_shared_stays_up_while_a_dependent_has_not_ended_and_ends_well_however_it_took_our_stop(world):
    world.add(service("judge"), task("a", "judge"), task("later", "a"), task("b", "later", "judge"))
    world.answer("judge")
    world.end("a")
    assert world.state("judge") == "running"
    world.end("later")
    world.end("b")
    assert Stop("r", "judge", 1) in world.last
    assert world.reason("judge") == "stopping: nothing needs it any more"
    world.vacate("judge", 137)
    assert (world.state("judge"), world.states["r"].state) == ("succeeded", "succeeded")
    assert RunEnded("r") in world.last
    assert names(world).count("judge") == 1


def test_a_service_that_nothing_came_to_need_never_starts(world):
    world.add(service("judge"), task("make"), task("score", "make", "judge"))
    world.end("make", 1)
    assert (world.state("judge"), world.states["r"].tasks["judge"].reason) == ("skipped", "nothing needs it any more")
    assert RunEnded("r") in world.last


@pytest.mark.parametrize("code", [0, 1, None])
def test_one_that_ends_by_itself_is_swept_and_started_again_and_running_tasks_go_on_while_others_wait(make_world, code):
    world = make_world(gpus=0, slots=2)
    world.add(service("judge"), task("a", "judge"), task("b", "judge"))
    world.answer("judge")
    world.end("judge", code)
    assert world.last[-1] == Stop("r", "judge", 1), "what it left is ended first"
    assert world.states["r"].tasks["judge"].devices, "and its devices are kept until then"
    world.end("a")
    assert names(world) == ["judge", "a"], "b does not start without it"
    world.vacate("judge", code)
    assert world.started[2:] == [("judge", 2)]
    world.answer("judge", 2)
    assert world.started[3:] == [("b", 1)]
    assert not any(isinstance(action, Quarantine) for action in world.last)


def test_tasks_that_run_keep_its_address_over_a_restart_and_without_them_it_gets_another(world):
    world.add(service("judge"), task("a", "judge"))
    assert world.states["r"].tasks["judge"].port == 1
    world.end("judge", 1)
    world.vacate("judge", 1)
    assert world.records["r"][-1]["port"] == world.states["r"].tasks["judge"].port == 2, "nobody knew it by 1"
    world.answer("judge", 2)
    world.add(service("other"), task("b", "other"), run="second")
    assert world.states["second"].tasks["other"].port == 3
    world.end("judge", 1, attempt=2)
    world.vacate("judge", 1, attempt=2)
    assert world.states["r"].tasks["judge"].port == 2, "a runs with it"


def test_one_that_never_stays_up_fails_with_its_last_cause_and_its_waiting_dependents_are_skipped(world):
    world.add(service("judge", retries=1), task("score", "judge"), task("free"))
    for attempt in (1, 2):
        world.begin("judge", attempt)
        world.tell(ServiceUnfit("r", "judge", attempt, 1.0, f"cause {attempt}"))
        assert world.last[-1] == Stop("r", "judge", attempt)
        world.vacate("judge", attempt=attempt)
    assert (world.state("judge"), world.states["r"].tasks["judge"].reason) == ("failed", "cause 2")
    assert (world.state("score"), world.states["r"].tasks["score"].reason) == ("skipped", "judge failed")
    assert world.state("free") == "starting"


def test_where_another_try_would_not_help_none_is_made(world):
    world.add(service("judge"), task("score", "judge"))
    world.begin("judge")
    world.tell(ServiceUnfit("r", "judge", 1, 1.0, "open to the world", hopeless=True))
    world.vacate("judge")
    assert world.state("judge") == "failed"
    assert names(world) == ["judge"]


def test_a_task_whose_service_has_failed_is_not_tried_again(world):
    world.add(service("judge", retries=0), task("score", "judge", retries=5))
    world.answer("judge")
    world.end("judge", 1)
    world.vacate("judge", 1)
    assert world.state("score") == "starting", "what runs is left to itself"
    world.end("score", 1)
    assert world.state("score") == "failed"
    assert names(world) == ["judge", "score"]


def test_one_that_waits_to_be_started_again_when_its_last_dependent_ends_has_done_its_work(make_world):
    world = make_world(gpus=1, slots=1)
    world.add(service("judge", gpus=1), task("score", "judge"))
    world.add(task("big", gpus=1, priority=9), run="other")
    world.answer("judge")
    world.end("judge", 1)
    world.end("score")
    world.vacate("judge", 1)
    assert world.state("judge") == "succeeded"
    assert world.states["r"].tasks["judge"].reason == "it ended by itself: exit 1"


def test_one_that_could_not_be_started_again_before_its_last_dependent_ended_has_done_its_work_too(world):
    world.add(service("model"), service("router", "model"), task("score", "router"))
    world.answer("model")
    world.answer("router")
    for name in ("model", "router"):
        world.end(name, 1)
        world.vacate(name, 1)
    assert world.reason("router") == "to be started again (it ended by itself: exit 1); needs model, which is starting"
    world.end("score")
    assert world.state("router") == "succeeded"
    assert world.states["r"].tasks["router"].reason == "nothing needs it any more"
    world.vacate("model", attempt=2)
    assert world.states["r"].state == "succeeded"


def test_its_timeout_is_per_attempt(world):
    world.add(service("judge", timeout=5.0, retries=1), task("score", "judge"))
    world.answer("judge")
    for attempt in (1, 2):
        world.tell(DeadlinePassed("r", "judge", attempt, 5.0))
        assert world.reason("judge") == "stopping: ran longer than its timeout of 5 s"
        world.vacate("judge", attempt=attempt)
        if attempt == 1:
            assert str(world.reason("judge")).startswith("starting again (restart 1 of 1): http://127.0.0.1:")
    assert world.state("judge") == "timed_out"
    assert names(world) == ["judge", "score", "judge"]


def test_cancel_ends_service_and_dependents(world):
    world.add(service("judge"), task("a", "judge"), task("b", "a", "judge"))
    world.answer("judge")
    world.cancel()
    assert {Stop("r", "judge", 1), Stop("r", "a", 1)} <= set(filter(lambda one: isinstance(one, Stop), world.last))
    world.vacate("judge")
    world.end("a", 143)
    assert [world.state(name) for name in ("judge", "a", "b")] == ["cancelled"] * 3


def test_cancel_of_its_last_dependent_ends_a_service(world):
    world.add(service("judge"), task("a", "judge"), task("free"))
    world.answer("judge")
    world.cancel("a")
    world.end("a", 143)
    assert Stop("r", "judge", 1) in world.last


def test_a_service_of_services_is_up_with_them(world):
    world.add(service("model"), service("router", "model"), task("score", "router"))
    world.answer("model")
    world.answer("router")
    assert names(world) == ["model", "router", "score"]
    world.end("score")
    assert Stop("r", "router", 1) in world.last
    assert Stop("r", "model", 1) not in world.last, "the router lives"
    world.vacate("router")
    assert Stop("r", "model", 1) in world.last


# --- over a crash of the server ---


def test_a_ready_service_counts_as_ready_for_the_next_server(world):
    world.add(service("judge"), task("make"), task("score", "make", "judge"), task("first", "judge"))
    world.answer("judge")
    world.restart()
    assert Adopt("r", "judge", 1) in world.last
    assert world.states["r"].tasks["judge"].ready
    world.end("make")
    assert ("score", 1) in world.started


def test_the_next_server_stops_what_nothing_needs_and_goes_on_with_a_stop_that_had_begun(world):
    world.add(service("judge"), task("score", "judge"))
    world.answer("judge")
    world.end("score")
    world.restart()
    assert Stop("r", "judge", 1) in world.last
    world.records["r"] = [record for record in world.records["r"] if record["type"] != "stopping"]
    world.restart()
    assert Stop("r", "judge", 1) in world.last
    world.vacate("judge")
    assert world.state("judge") == "succeeded"


def test_a_service_that_its_server_never_started_spends_no_restart(world):
    world.add(service("judge", retries=0), task("score", "judge"))
    world.restart()
    world.tell(AttemptNeverStarted("r", "judge", 1, 1.0))
    assert world.started == [("judge", 1), ("judge", 2)]


def test_one_whose_supervisors_file_is_gone_is_ended_and_started_again(world):
    world.add(service("judge"), task("score", "judge"))
    world.answer("judge")
    world.restart()
    world.tell(AttemptNeverStarted("r", "judge", 1, 1.0))
    assert Stop("r", "judge", 1) in world.last
    world.vacate("judge", None)
    assert world.started[-1] == ("judge", 2)


def test_why_a_service_is_being_stopped_is_not_forgotten_when_the_next_server_hears_that_it_had_started(world):
    world.add(service("judge", retries=0), task("score", "judge"))
    world.end("judge", 1)
    assert world.reason("judge") == "stopping: it ended by itself: exit 1"
    world.restart()
    world.begin("judge")
    assert world.reason("judge") == "stopping: it ended by itself: exit 1"
    world.vacate("judge", 1)
    assert world.states["r"].tasks["judge"].reason == "it ended by itself: exit 1"


def test_late_news_of_a_service_changes_nothing(world):
    world.add(service("judge"), task("score", "judge"))
    world.answer("judge")
    world.tell(ServiceReady("r", "judge", 1, 1.0))
    assert world.last == []
    world.end("score")
    for late in (ServiceReady("r", "judge", 1, 1.0), ServiceUnfit("r", "judge", 1, 1.0, "late")):
        world.tell(late)
        assert world.last == []


# --- room ---


def test_two_services_that_fill_the_host_take_turns(make_world):
    world = make_world(gpus=0, slots=2)
    world.add(service("a"), task("ta", "a"))
    world.add(service("b"), task("tb", "b"), run="second")
    assert names(world) == ["a"]
    assert world.reason("b", "second") == "waits for service a of run r: not all that must run would fit beside both"
    world.answer("a")
    world.end("ta")
    world.vacate("a")
    assert names(world) == ["a", "ta", "b"]


def test_services_of_runs_that_chose_their_devices_differently_take_turns(make_world):
    world = make_world(gpus=4, slots=4)
    world.add(service("a", gpus=1), task("ta", "a"), allowed=frozenset({"GPU-0", "GPU-1"}))
    world.add(service("b", gpus=1), task("tb", "b"), run="second", allowed=frozenset({"GPU-1", "GPU-2"}))
    assert names(world) == ["a"]
    world.answer("a")
    world.end("ta")
    world.vacate("a")
    assert names(world) == ["a", "ta", "b"]


def test_services_that_leave_room_for_their_tasks_are_up_together(make_world):
    world = make_world(gpus=0, slots=3)
    world.add(service("a"), task("ta", "a"))
    world.add(service("b"), task("tb", "b"), run="second")
    assert names(world) == ["a", "b"]


def test_a_service_waits_for_an_independent_big_task_that_a_later_dependent_needs(world):
    world.add(
        service("judge", gpus=1),
        task("small"), task("score_small", "small", "judge"),
        task("first"), task("big", "first", gpus=2), task("score_big", "big", "judge"),
    )  # fmt: skip
    world.end("small")
    assert "judge" not in names(world)
    assert world.reason("judge") == "waits for big, which would not fit beside it"
    world.end("first")
    world.end("big")
    assert names(world)[-1] == "judge"


def test_what_a_service_waits_for_is_never_a_service_with_the_same_need(make_world):
    world = make_world(gpus=3, slots=4)
    world.add(
        service("judge", gpus=2),
        task("small"), task("score_small", "small", "judge"),
        task("big", gpus=2), task("score_big", "big", "judge"),
    )  # fmt: skip
    world.end("small")
    assert world.reason("judge") == "waits for big, which would not fit beside it"


def test_a_big_task_that_waits_for_a_service_to_end_does_not_keep_its_dependents_from_running(world):
    world.add(service("judge", gpus=1), task("score", "judge", gpus=1))
    world.add(task("big", gpus=2), run="second")
    world.answer("judge")
    assert names(world) == ["judge", "score"]
    world.add(service("late", gpus=0), task("use", "late"), run="third")
    assert "late" not in names(world), "nor does another service come before it"
    assert world.reason("late", "third") == "waits its turn: what comes before it needs more room"
    world.end("score")
    world.vacate("judge")
    assert names(world)[2:] == ["big", "late"]


def test_a_service_takes_the_smallest_gpu_that_it_can_use(make_world):
    world = make_world(gpus=[Device("large", 0, "", 80), Device("small", 1, "", 24)], slots=2)
    world.add(service("judge", gpus=1), task("score", "judge", gpus=1, gpu_memory=40))
    assert world.devices == {("judge", 1): ("small",)}


def test_a_service_that_was_up_goes_before_all_else_again(make_world):
    world = make_world(gpus=1, slots=2)
    world.add(service("judge", gpus=1), task("score", "judge"))
    world.answer("judge")
    world.add(task("urgent", gpus=1, priority=100), run="second")
    world.end("judge", 1)
    world.vacate("judge", 1)
    assert world.started[-1] == ("judge", 2)


def host(gpus: int = 2, slots: int = 2) -> Inventory:
    return Inventory.of([Device(f"GPU-{i}", i, "", 80) for i in range(gpus)], slots)


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([service("judge", gpus=1), task("score", "judge", gpus=2)], "while task 'score' runs: that needs 3 GPUs"),
        (
            [service("a", gpus=1), service("b", gpus=1), task("score", "a", "b", gpus=1)],
            "services 'a', 'b' count as up at the same time while task 'score' runs: that needs 3 GPUs, this host has 2",
        ),
        (
            [service("judge", gpus=1), task("x", "judge"), task("between", "x", gpus=2), task("y", "between", "judge")],
            "must be up while task 'between' runs",
        ),
        ([service("judge", gpus=1, gpu_memory=60), task("score", "judge", gpus=2, gpu_memory=60)], "that needs 3 GPUs"),
        ([service("judge", cpus=2), task("score", "judge", cpus=1)], "that needs 3 CPU slots, this host has 2"),
        (
            [service("one", gpus=1), service("two", "one", gpus=1), task("score", "two", gpus=1)],
            "services 'one', 'two' count as up at the same time while task 'score' runs",
        ),
        (
            [
                service("judge", gpus=1), task("ask", "judge"),
                service("model", "ask", gpus=1), task("answer", "model", gpus=1), task("compare", "answer", "judge"),
            ],
            "services 'judge', 'model' count as up at the same time while task 'answer' runs: that needs 3 GPUs",
        ),
    ],
)  # fmt: skip
def test_services_that_cannot_be_up_beside_what_needs_them_are_refused(tasks, said):
    graph = GraphSpec("g", tuple(tasks))
    assert graph_problems(graph) == []
    [problem] = device_problems(graph, host())
    assert said in problem
    assert problem.endswith("; ask for less")


@pytest.mark.parametrize(
    "tasks",
    [
        [service("judge", gpus=1), task("score", "judge", gpus=1)],
        [task("big", gpus=2), service("judge", gpus=2), task("score", "judge", "big")],
        [service("a", gpus=2), task("x", "a"), service("b", gpus=2), task("y", "b", "x")],
        [service("judge", gpus=1), task("x", "judge"), task("after", "x", gpus=2)],
    ],
)
def test_services_whose_big_tasks_may_run_before_or_after_them_are_not(tasks):
    assert device_problems(GraphSpec("g", tuple(tasks)), host()) == []


def test_memory_that_is_there_once_is_not_there_twice():
    inventory = Inventory.of([Device("small", 0, "", 24 * 2**30), Device("large", 1, "", 80 * 2**30)], 2)
    forty = {"gpus": 1, "gpu_memory": 40 * 2**30}
    [problem] = device_problems(GraphSpec("g", (service("judge", **forty), task("score", "judge", **forty))), inventory)
    assert "this host has too few GPUs with the memory that they ask for (up to 40 GiB)" in problem


def test_a_large_graph_with_services_is_run_without_a_scan_for_each_event(make_world):
    tasks = [service("judge"), service("model")]
    for number in range(5_000):
        tasks += [task(f"make{number}", "model"), task(f"score{number}", f"make{number}", "judge")]
    graph = GraphSpec("g", tuple(tasks))
    assert graph_problems(graph) + device_problems(graph, host(slots=4)) == []
    world = make_world(gpus=0, slots=4)
    world.scheduler.assert_invariants = lambda: None  # it scans, which the scheduler must not do
    world.add(*tasks)
    for name, _ in world.started:  # grows while it is walked
        if name in {"judge", "model"}:
            world.answer(name)
        else:
            world.end(name)
    assert len(world.started) == 10_002
    assert world.states["r"].tasks["judge"].stopping == world.states["r"].tasks["model"].stopping == "succeeded"


# --- how it is written down ---


def refusal(graph: Graph) -> str:
    with pytest.raises(GraphError) as refused:
        graph.spec()
    return str(refused.value)


def test_every_mistake_about_services_is_named_in_one_message():
    graph = Graph("g")
    odd = [
        graph.service("relative", "x", ready="health"),
        graph.service("regex", "x", ready="log:(("),
        graph.service("hasty", "x", start_timeout="soon"),
        graph.service("never", "x", start_timeout=None),
        graph.service("key", "x", key_env="not a name"),
        graph.service("ours", "x", key_env="TILLER_KEY"),
        graph.service("both", "x", key_env="API_KEY", env_from=["API_KEY"]),
        graph.service("minus", "x", restarts=-1),
        graph.service("a.b", "x"),
        graph.service("A-b", "x"),
        graph.service("empty", ""),
        graph.service("self", "serve @{self.url}"),
    ]
    graph.service("lonely", "x")
    graph.shell("user", ["curl", "@{nowhere.url}", "@{lonely.url}"], after=odd)
    text = refusal(graph)
    words = [
        "service 'relative': ready='health' is neither a path",
        "service 'regex': ready='log:((' holds no regular expression",
        "task 'hasty': start_timeout: 'soon' is not a duration",
        "service 'never': start_timeout=None",
        "service 'key': key_env='not a name'",
        "service 'ours': key_env='TILLER_KEY' is set by tiller itself",
        "service 'both': 'API_KEY' is in key_env and in env or env_from",
        "'minus': restarts=-1 is not a whole number",
        "services 'a.b', 'A-b' would share the variable TILLER_URL_A_B",
        "'empty' has an empty command",
        "service 'lonely' is in no task's after",
        "task 'self' uses @{self.url}, its own address; its own port is @{port}",
        "task 'user' uses @{nowhere.url}, but 'nowhere' is not a service of this graph",
        "task 'user' uses @{lonely.url}, but does not come after 'lonely'",
    ]
    assert [word for word in words if word not in text] == []
    assert text.count("\n") == len(words)


def test_the_address_of_a_plain_task_is_refused():
    graph = Graph("g")
    graph.shell("plain", "true")
    graph.call("user", "os:getcwd", {"deep": [{"url": "@{plain.url}"}]}, after=["plain"])
    assert "'plain' is not a service of this graph (services: none)" in refusal(graph)


def test_a_service_has_restarts_instead_of_retries():
    with pytest.raises(TypeError, match="restarts=, not retries="):
        Graph("g").service("judge", "x", retries=1)


def test_a_service_reads_back_from_its_json():
    graph = Graph("g")
    judge = graph.service("judge", ["serve", "@{port}"], start_timeout="90s", restarts=1, key_env="VLLM_API_KEY", gpus=0)
    graph.shell("score", "true", after=judge)
    spec = graph.spec()
    [made, _] = spec.tasks
    assert (made.kind, made.ready, made.start_timeout, made.retries) == ("service", "/health", 90.0, 1)
    assert GraphSpec.from_json(spec.to_json()) == spec


def test_addresses_reach_command_environment_and_arguments_and_keys_the_environment_only():
    judge, own = Address(4000, "k1"), Address(4001, "k2")
    spec = TaskSpec(
        "s", command=("go", "@{judge-2.url}/v1"), env={"BASE": "@{judge-2.url}"}, kwargs={"a": [{"b": "@{judge-2.url}"}]}
    )
    filled = addressed(spec, None, {"judge-2": judge})
    assert filled.command == ("go", "http://127.0.0.1:4000/v1")
    assert filled.env == {"BASE": "http://127.0.0.1:4000"}
    assert filled.kwargs == {"a": [{"b": "http://127.0.0.1:4000"}]}
    assert address_variables(spec, None, {"judge-2": judge}) == {
        "TILLER_URL_JUDGE_2": "http://127.0.0.1:4000",
        "TILLER_KEY_JUDGE_2": "k1",
    }
    served = TaskSpec("judge", kind="service", command="serve --port @{port} --up @{judge-2.url}", key_env="API_KEY")
    assert addressed(served, own, {"judge-2": judge}).command == "serve --port 4001 --up http://127.0.0.1:4000"
    assert address_variables(served, own, {})["API_KEY"] == "k2"
    assert address_variables(served, own, {})["TILLER_PORT"] == "4001"
    untouched = TaskSpec("t", command="perl -e '@{port}'")
    assert addressed(untouched, None, {}) is untouched


def test_an_end_that_was_confirmed_without_having_been_told_first_counts_as_a_failure(world):
    world.add(service("judge", retries=0), task("score", "judge"))
    world.tell(AttemptEnded("r", "judge", 1, 0, 1.0, vacated=True))
    assert world.state("judge") == "failed"
