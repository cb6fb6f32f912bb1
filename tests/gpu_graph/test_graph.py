"""Graphs as users write them, and what is said about those that cannot run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_graph import Graph, GraphError
from gpu_graph.placement import Device, Inventory
from gpu_graph.spec import GraphSpec, TaskSpec, parse_duration, parse_size
from gpu_graph.validation import RUN_FILES, device_problems, environment_problems, graph_problems


def refusal(graph: Graph) -> str:
    with pytest.raises(GraphError) as refused:
        graph.spec()
    return str(refused.value)


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("18GiB", 18 * 2**30),
        ("80 GB", 80 * 10**9),
        ("512M", 512 * 2**20),
        ("1.5k", 1536),
        (7, 7),
        ("2tib", 2 * 2**40),
        (None, None),
    ],
)
def test_sizes_have_units(said, size):
    assert parse_size(said) == size


@pytest.mark.parametrize("said", ["18 gigs", "", "GiB", "-1G", 0, -5, True, 18.5, [1]])
def test_what_is_not_a_size_is_refused_by_name(said):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(said)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("90s", 90), ("2h", 7200), ("1.5d", 129600), ("5min", 300), ("5m", 300), ("250ms", 0.25), (3, 3), (None, None)],
)
def test_durations_have_units(said, seconds):
    assert parse_duration(said) == seconds


@pytest.mark.parametrize("said", ["soon", "2 weeks", "-1s", 0, -1, float("inf"), float("nan"), "0s", True, [1]])
def test_what_is_not_a_duration_is_refused_by_name(said):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(said)


def test_handles_ids_and_later_tasks_can_be_dependencies():
    graph = Graph("g")
    first = graph.shell("first", "true")
    graph.shell("second", ["echo", 1, 2.5], after=[first, "third"])
    graph.shell("third", "true", after=first)
    tasks = {task.id: task for task in graph.spec().tasks}
    assert tasks["second"].after == ("first", "third")
    assert tasks["second"].command == ("echo", "1", "2.5")
    assert tasks["third"].after == ("first",)


def test_a_lone_word_where_a_list_is_meant_is_one_word():
    graph = Graph("g")
    graph.shell("a", "true", env_from="OPENAI_API_KEY", inputs="data.json", outputs="out.json")
    task = graph.spec().tasks[0]
    assert (task.env_from, task.inputs, task.outputs) == (("OPENAI_API_KEY",), ("data.json",), ("out.json",))


def test_one_message_names_every_offender():
    graph = Graph("g")
    graph.shell("../escape", "true")
    graph.shell("twin", "true")
    graph.shell("twin", "true")
    graph.shell("lonely", "true", after=["ghost"])
    graph.shell("half", "true", gpus=0.5)
    graph.shell("hasty", "true", timeout="soon")
    graph.shell("fat", "true", gpu_memory="much")
    graph.shell("empty", "")
    graph.shell("keen", "true", retries=-1)
    graph.shell("idle", "true", cpus=0)
    graph.shell("journal.jsonl", "true")
    graph.call("odd", "not a target")
    graph.call("blob", "os:getcwd", {"x": object()})
    graph.shell("marked", "true", labels={"x": {1, 2}})
    graph.shell(7, "true")
    text = refusal(graph)
    words = ["../escape", "'twin' is declared more than once", "ghost", "gpus=0.5", "'hasty': timeout", "'fat': gpu_memory"]
    words += [
        "'empty' has an empty command",
        "retries=-1",
        "cpus=0",
        "journal.jsonl",
        "'not a target'",
        "'blob'",
        "'marked'",
        "task id 7",
    ]
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "my_secret"])
def test_literal_secrets_are_refused_and_the_way_out_is_named(name):
    graph = Graph("g")
    graph.shell("a", "true", env={name: "sk-123"})
    text = refusal(graph)
    assert f"env_from=['{name}']" in text
    assert "sk-123" not in text


@pytest.mark.parametrize("name", ["TILLER_TASK", "CUDA_VISIBLE_DEVICES", "A=B", ""])
def test_variables_that_tiller_sets_cannot_be_set(name):
    graph = Graph("g")
    graph.shell("a", "true", env={name: "x"})
    assert f"env= cannot set {name!r}" in refusal(graph)


@pytest.mark.parametrize("name", sorted(RUN_FILES))
def test_names_of_the_run_folders_own_files_are_reserved(name):
    graph = Graph("g")
    graph.shell(name, "true")
    assert name in refusal(graph)


@pytest.mark.parametrize("name", ["", "-x", ".x", "a/b", "a b", "é", "x" * 101, "a\n"])
def test_graph_names_obey_the_rule_of_ids(name):
    graph = Graph(name)
    graph.shell("a", "true")
    assert repr(name) in refusal(graph)


def test_an_unknown_option_is_refused_where_it_stands():
    with pytest.raises(TypeError, match="unknown option gpu; known: after, gpus"):
        Graph("g").shell("a", "true", gpu=1)


def test_a_graph_without_tasks_is_refused():
    assert "'g' has no tasks" in refusal(Graph("g"))


def test_a_circle_is_shown_in_the_order_in_which_its_tasks_wait():
    graph = Graph("g")
    graph.shell("free", "true")
    graph.shell("a", "true", after=["c", "free"])
    graph.shell("b", "true", after=["a"])
    graph.shell("c", "true", after=["b"])
    graph.shell("behind", "true", after=["c"])
    circle = refusal(graph).split("circle: ")[1].split(" → ")
    assert sorted(circle[:-1]) == ["a", "b", "c"]
    assert circle[0] == circle[-1]
    assert "behind" not in circle


def test_a_task_that_waits_for_itself_is_a_circle():
    graph = Graph("g")
    graph.shell("a", "true", after=["a"])
    assert "circle: a → a" in refusal(graph)


def test_a_circle_of_ten_thousand_tasks_is_found():
    tasks = tuple(TaskSpec(f"t{i}", command="true", after=(f"t{(i - 1) % 10_000}",)) for i in range(10_000))
    [problem] = graph_problems(GraphSpec("g", tasks))
    assert problem.count("→") == 10_000


def test_a_hundred_thousand_tasks_validate():
    tasks = tuple(TaskSpec(f"t{i}", command="true", after=(f"t{(i - 1) // 2}",) if i else ()) for i in range(100_000))
    assert graph_problems(GraphSpec("g", tasks)) == []


@given(st.data())
def test_a_graph_reads_back_from_its_json(data):
    names = data.draw(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), min_size=1, max_size=5, unique=True))
    words = st.text(max_size=5)
    tasks = tuple(
        TaskSpec(
            name,
            command=data.draw(words | st.lists(words, max_size=3).map(tuple)),
            after=tuple(names[:at]),
            gpus=data.draw(st.integers(0, 3)),
            gpu_memory=data.draw(st.none() | st.integers(1, 2**40)),
            env=data.draw(st.dictionaries(words, words, max_size=2)),
            timeout=data.draw(st.none() | st.floats(0.1, 1e6)),
            labels=data.draw(st.dictionaries(words, st.integers(), max_size=2)),
        )
        for at, name in enumerate(names)
    )
    graph = GraphSpec("g", tasks, data.draw(words))
    assert GraphSpec.from_json(graph.to_json()) == graph


HOST = Inventory.of([Device("GPU-0", 0, "", 24 * 2**30), Device("GPU-1", 1, "", 80 * 2**30)], slots=2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gpus": 3}, "needs 3 GPUs, this host has 2"),
        ({"gpus": 1, "gpu_memory": 100 * 2**30}, "needs 100 GiB on 1 GPU; the largest has 80 GiB"),
        ({"gpus": 2, "gpu_memory": 40 * 2**30}, "needs 40 GiB on 2 GPUs"),
        ({"gpus": 0, "cpus": 3}, "needs 3 CPU slots, this host has 2"),
    ],
)
def test_a_need_that_this_host_can_never_meet_is_refused(fields, said):
    [problem] = device_problems(GraphSpec("g", (TaskSpec("fits", command="x"), TaskSpec("giant", command="x", **fields))), HOST)
    assert problem.startswith("task 'giant' ")
    assert said in problem


def test_a_need_beyond_the_chosen_devices_is_refused():
    graph = GraphSpec("g", (TaskSpec("two", command="x", gpus=2),))
    [problem] = device_problems(graph, HOST, frozenset({"GPU-1"}))
    assert "this host has 1 among the chosen ones" in problem


def test_a_host_without_gpus_counts_cpu_slots_instead_and_ignores_gpu_memory():
    host = Inventory.of([], slots=2)
    tasks = (TaskSpec("three", command="x", gpus=3), TaskSpec("two", command="x", gpus=2, gpu_memory=2**40))
    assert device_problems(GraphSpec("g", tasks), host) == ["task 'three' needs 3 CPU slots, this host has 2; ask for less"]


def test_a_declared_variable_that_is_not_set_is_named():
    graph = GraphSpec("g", (TaskSpec("a", command="x", env_from=("SET", "UNSET")),))
    [problem] = environment_problems(graph, {"SET": "1"})
    assert "'a'" in problem
    assert "'UNSET'" in problem
