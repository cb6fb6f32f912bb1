"""What real tasks get and leave: environment, attempts, limits, results, and the seed scheduler's interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from gpu_graph import Graph, GraphError, GraphFailed, run
from gpu_graph.client import Client


def test_a_task_gets_the_submitters_environment_not_the_servers(bench, monkeypatch):
    monkeypatch.setenv("FLAVOUR", "first")
    with Client.connect():
        pass
    monkeypatch.setenv("FLAVOUR", "second")
    run = bench.shell('echo "$FLAVOUR $CUDA_VISIBLE_DEVICES $TILLER_TASK" > seen; pwd >> seen')
    bench.ended(run)
    assert bench.marks("seen") == ["second", "GPU-fake-0", "task", str(bench.work)]


def test_secrets_stay_out_of_the_workspace_and_go_when_the_run_has_ended(bench, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sk-do-not-write-me")
    run = bench.shell('test "${MY_API_KEY#sk-do-not}" = -write-me', env_from=["MY_API_KEY"])
    assert bench.ended(run)["state"] == "succeeded"
    for path in bench.work.rglob("*"):
        assert not path.is_file() or b"sk-do-not-write-me" not in path.read_bytes()
    bench.until(
        lambda: not [p for p in bench.state.rglob("*.json") if b"sk-do-not-write-me" in p.read_bytes()],
        "the submission is gone",
    )
    opened = json.loads((bench.folder(run) / "journal.jsonl").read_text().splitlines()[0])
    assert "MY_API_KEY" in opened["environment_names"]


def test_bytes_that_are_no_text_survive_in_environment_and_log(bench, monkeypatch):
    monkeypatch.setenv("ODD", os.fsdecode(b"\xff\xfe"))
    run = bench.shell('printf "%s" "$ODD"; head -c 1000 /dev/zero')
    bench.ended(run)
    assert (bench.folder(run) / "task" / "1.log").read_bytes() == b"\xff\xfe" + b"\0" * 1000


def test_each_attempt_keeps_its_log_and_knows_its_number(bench):
    run = bench.shell('echo "attempt $TILLER_ATTEMPT"; test "$TILLER_ATTEMPT" -ge 3', retries=2)
    assert bench.ended(run)["state"] == "succeeded"
    logs = [(bench.folder(run) / "task" / f"{n}.log").read_text() for n in (1, 2, 3)]
    assert logs == ["attempt 1\n", "attempt 2\n", "attempt 3\n"]


@pytest.mark.parametrize(
    ("command", "options", "code", "words"),
    [
        ("exit 7", {}, 7, "exit 7"),
        ("kill -9 $$", {}, 137, "exit 137 (signal 9)"),
        (["no-such-program-anywhere"], {}, 127, "exit 127"),
        ("true", {"cwd": "no/such/folder"}, 2, "exit 2"),
        (["true", "x" * 200_000], {}, 126, "could not be started: "),
    ],
)
def test_a_failure_has_its_exit_code_and_a_reason(bench, command, options, code, words):
    run = bench.shell(command, **options)
    bench.ended(run)
    task = bench.task(run)
    assert task["state"] == "failed"
    assert task["exit_code"] == code
    assert words in task["reason"]


def test_a_task_that_runs_too_long_is_timed_out_with_all_its_children(bench):
    run = bench.shell("sleep 600 & sleep 600", timeout="500ms")
    bench.ended(run)
    assert bench.task(run)["state"] == "timed_out"
    assert not bench.task_processes()


def test_a_full_disk_under_the_exit_file_does_not_lose_the_exit_status(bench, small_disk):
    logs = small_disk(bench.work / "logs", "256k")
    filler = logs / "filler"
    run = bench.shell(f"until test -e go; do sleep 0.05; done; head -c 1M /dev/zero > {filler}; exit 5", gpus=0)
    bench.supervisor(run)
    (bench.work / "go").touch()
    bench.until(lambda: not bench.task_processes(), "the task has ended on the full disk")
    filler.unlink()
    bench.ended(run)
    assert bench.task(run)["exit_code"] == 5


def test_a_call_runs_a_function_with_json_in_and_json_out(bench):
    (bench.work / "runs" / "steps.py").write_text(
        "def add(a, b):\n    return {'sum': a + b}\n\ndef odd():\n    return {1, 2}\n"
    )
    graph = Graph("g")
    graph.call("good", "runs/steps.py:add", {"a": 2, "b": 3})
    graph.call("module", "os.path:basename", {"p": "/x/y"})
    graph.call("bad", "runs/steps.py:odd")
    run = bench.submit(graph)
    bench.ended(run)
    assert bench.states(run) == {"good": "succeeded", "module": "succeeded", "bad": "failed"}
    assert json.loads((bench.folder(run) / "good" / "1.result.json").read_text()) == {"sum": 5}
    assert json.loads((bench.folder(run) / "module" / "1.result.json").read_text()) == "y"
    assert "returned a set, which is not JSON" in (bench.folder(run) / "bad" / "1.log").read_text()


def test_progress_that_a_task_tells_is_shown_while_it_runs(bench):
    run = bench.shell("""echo '{"done": 3, "total": 8, "label": "x"}' >> $TILLER_PROGRESS; sleep 600""")
    bench.until(lambda: bench.task(run)["progress"] == {"done": 3, "total": 8, "label": "x"}, "its progress is shown")


def test_a_chain_of_tasks_runs_in_order(bench):
    graph = Graph("chain")
    for number in (k * 37 % 60 for k in range(60)):
        graph.shell(f"t{number}", f"echo {number} >> order", after=[f"t{number - 1}"] if number else (), gpus=0)
    run = bench.submit(graph)
    assert bench.ended(run)["state"] == "succeeded"
    assert [int(mark) for mark in bench.marks("order")] == list(range(60))


# --- gpu_graph.run ---


def test_the_seeds_interface_runs_commands_in_order_on_the_given_gpus(bench, capfd):
    run(
        [1, 2],
        {"c": "echo c $CUDA_VISIBLE_DEVICES >> order", "a": "echo a $CUDA_VISIBLE_DEVICES >> order", "b": "echo b - >> order"},
        {"c": ["b"], "b": ["a"]},
    )
    words = bench.marks("order")
    assert words[::2] == ["a", "b", "c"]
    assert {words[1], words[5]} <= {"GPU-fake-1", "GPU-fake-2"}
    assert capfd.readouterr().out.startswith("run 2")


def test_the_seeds_interface_raises_for_what_failed_and_names_it(bench):
    with pytest.raises(GraphFailed) as failed:
        run([1], {"bad": "exit 3", "next": "echo x >> leaked", "free": "true"}, {"next": ["bad"]})
    assert "bad (failed)" in str(failed.value)
    assert "next (skipped)" in str(failed.value)
    assert "free" not in str(failed.value)
    assert bench.marks("leaked") == []


@pytest.mark.parametrize(
    ("gpus", "commands", "dependencies", "said"),
    [
        ([0], {"a": "true"}, {"a": ["ghost"]}, "ghost"),
        ([0], {"a": "true"}, {"stranger": []}, "stranger"),
        ([0], {"a": "true", "b": "true"}, {"a": ["b"], "b": ["a"]}, "circle"),
        ([7], {"a": "true"}, {}, "GPU index 7"),
    ],
)
def test_the_seeds_interface_refuses_before_anything_starts(bench, gpus, commands, dependencies, said):
    with pytest.raises(GraphError, match=said):
        run(gpus, commands, dependencies)
    assert list((bench.work / "logs").iterdir()) == []


def test_the_seeds_interface_uses_the_callers_directory_and_works_from_an_unnamed_script(bench):
    inner = bench.work / "inner"
    inner.mkdir()
    script = textwrap.dedent("""
        from gpu_graph import run
        run([0], {"where": "pwd > here"}, {})
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=inner, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (inner / "here").read_text().strip() == str(inner)


def test_times_are_in_the_order_of_what_happened(bench):
    graph = Graph("g")
    graph.shell("a", "true")
    graph.shell("b", "true", after=["a"])
    view = bench.ended(bench.submit(graph))
    a, b = view["tasks"]
    times = [view["created_at"], a["started_at"], a["ended_at"], b["started_at"], b["ended_at"], view["ended_at"]]
    assert times == sorted(times)
