"""Running a run file's build() in a child process: whatever it does, the client gets a graph or one clear message."""

from __future__ import annotations

import pytest

from gpu_graph.errors import GraphError
from gpu_graph.submit import BuildError, prepare


@pytest.fixture
def build(bench):
    """The graph of a run file with this body, or what is raised."""

    def from_body(body: str, **parameters):
        return prepare(bench.run_file("file", body), parameters, bench.work).graph

    return from_body


def test_build_gets_its_parameters_and_the_workspace_as_its_directory(build):
    graph = build(
        """
        import os
        def build(n: int = 1, names: tuple[str, ...] = ()):
            g = Graph("g", description=os.getcwd())
            for name in names * n:
                g.shell(name, "true")
            return g
        """,
        n=1,
        names=("a", "b"),
    )
    assert [task.id for task in graph.tasks] == ["a", "b"]
    assert graph.description.endswith("/ws")


def test_a_file_may_import_its_neighbours_and_use_a_module_level_graph(build, bench):
    (bench.work / "runs" / "neighbour.py").write_text("NAME = 'from-neighbour'\n")
    assert build('from neighbour import NAME\ngraph = Graph(NAME)\ngraph.shell("a", "true")').name == "from-neighbour"


def test_dataclasses_with_postponed_annotations_work_in_a_run_file(bench):
    path = bench.work / "runs" / "annotated.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom gpu_graph import Graph\n"
        "@dataclass\nclass Cell:\n    layer: int\n"
        "def build():\n    g = Graph('g')\n    g.shell(f'l{Cell(3).layer}', 'true')\n    return g\n"
    )
    assert prepare(path, {}, bench.work).graph.tasks[0].id == "l3"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('def build():\n    return "a graph"', "returned a str, not a Graph"),
        ("def build():\n    pass", "returned a NoneType, not a Graph"),
        ("import sys\ndef build():\n    sys.exit(3)", "called sys.exit(3)"),
        ("import os\ndef build():\n    os._exit(4)", "exited with status 4"),
        ("import os\ndef build():\n    os.kill(os.getpid(), 9)", "was ended by signal 9"),
        ('def build():\n    g = Graph("t")\n    g.call("caller", "no_such_module:fn")\n    return g', "'no_such_module:fn'"),
        ('def build():\n    g = Graph("t")\n    g.call("caller", "os:no_such")\n    return g', "'os:no_such'"),
        ('def build():\n    g = Graph("t")\n    g.call("caller", "os:sep")\n    return g', "'sep' is not callable"),
        ('def build():\n    g = Graph("t")\n    g.call("caller", "runs/gone.py:fn")\n    return g', "runs/gone.py"),
        ('def build():\n    g = Graph("t")\n    g.call("caller", "runs/file.py:fn")\n    return g', "no function 'fn'"),
        ("def build(n: int):\n    return Graph('g')", "build() needs n; give it as --n VALUE"),
        ("from gpu_graph import run\ndef build():\n    run([0], {}, {})", "calls run(…) itself; start it with: python"),
    ],
)
def test_what_is_wrong_is_said_in_one_message_that_names_it(build, body, said):
    with pytest.raises(GraphError) as refused:
        build(body)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('def build():\n    raise ValueError("kaboom")', "raised ValueError: kaboom"),
        ("def build():\n    return build()", "RecursionError"),
        ("import nowhere\ndef build():\n    pass", "ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_an_exception_of_the_file_comes_with_its_traceback_from_the_file_on(build, body, said):
    with pytest.raises(BuildError) as raised:
        build(body)
    assert said in str(raised.value)
    assert "file.py" in raised.value.traceback
    assert "build_runner" not in raised.value.traceback


def test_a_build_that_never_returns_is_ended_with_all_that_it_started(build, bench, monkeypatch):
    monkeypatch.setenv("TILLER_BUILD_SECONDS", "2")
    body = """
        import subprocess, time
        def build():
            subprocess.Popen(["sleep", "600"])
            time.sleep(600)
    """
    with pytest.raises(GraphError, match=r"file\.py: build\(\) did not return within 2 s"):
        build(body)
    bench.until(lambda: not bench.processes(), "no process is left of the build")


@pytest.mark.parametrize("said", ["soon", "0", "-3", "nan", "inf"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(build, monkeypatch, said):
    monkeypatch.setenv("TILLER_BUILD_SECONDS", said)
    with pytest.raises(GraphError, match=f"TILLER_BUILD_SECONDS='{said}'"):
        build("def build():\n    return Graph('g')")


def test_a_thread_left_behind_does_not_keep_the_build(build):
    body = """
        import threading, time
        def build():
            threading.Thread(target=time.sleep, args=(600,)).start()
            g = Graph("g")
            g.shell("a", "true")
            return g
    """
    assert build(body).name == "g"


@pytest.mark.slow
def test_a_build_whose_client_was_killed_ends_by_itself(bench, monkeypatch):
    monkeypatch.setenv("TILLER_BUILD_SECONDS", "1")
    path = bench.run_file("file", "import time\ndef build():\n    open('building', 'w').close()\n    time.sleep(600)\n")
    client = bench.begin("run", path)
    bench.until(lambda: (bench.work / "building").exists(), "it builds")
    client.kill()
    client.communicate()
    bench.until(lambda: not bench.processes(), "nothing is left of the build")
