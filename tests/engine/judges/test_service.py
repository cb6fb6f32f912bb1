"""A judge as a service of a graph: recipes, and the demo from answers to a table with intervals, offline, in one graph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.judges.recipes import judge_name, judge_options, transformers_judge, vllm_judge
from gpu_graph import Graph

DEMO = Path(__file__).parents[3] / "runs/20261120_judge_service_demo.py"


def test_the_recipes_serve_on_this_machine_only_and_say_how_to_ask():
    graph = Graph("judges")
    small = transformers_judge(graph)
    large = vllm_judge(graph, "some-org/some-model", id="large.judge", gpus=2, options=["--max-model-len", 8192])
    graph.shell("score", ["tiller", "judge", "score", *judge_options(small, "demo")], after=[small, large], gpus=0)
    tasks = {task.id: task for task in graph.spec().tasks}
    for task in (tasks["judge"], tasks["large.judge"]):
        assert task.kind == "service"
        words = list(task.command)
        assert words[words.index("--host") + 1] == "127.0.0.1"
        assert words[words.index("--port") + 1] == "@{port}"
    assert tasks["judge"].gpus == 0
    assert "--device" in tasks["judge"].command
    assert tasks["large.judge"].key_env == "VLLM_API_KEY"
    assert [*tasks["large.judge"].command][-4:] == ["--tensor-parallel-size", "2", "--max-model-len", "8192"]
    asked = judge_options(large, "some-org/some-model")
    assert asked == [
        *("--judge", "@{large.judge.url}/v1"),
        *("--judge-model", "some-org/some-model"),
        *("--judge-key", "TILLER_KEY_LARGE_JUDGE"),
    ]
    assert not any("/" in word for word in judge_options(small, "demo")[2:])


def test_two_folders_of_one_name_are_two_judges_and_showing_what_they_said_needs_neither(tmp_path):
    graph, revisions = Graph("judges"), set()
    for place in ("first", "second"):
        folder = tmp_path / place / "checkpoint"
        folder.mkdir(parents=True)
        folder.joinpath("config.json").write_text(json.dumps({"made": place}))
        judge = transformers_judge(graph, str(folder), id=place)
        asked, named = judge_options(judge, str(folder)), judge_name(str(folder))
        assert asked[2:4] == named[2:4] == ["--judge-model", "checkpoint"]
        assert asked[4:6] == named[4:6]
        revisions.add(asked[asked.index("--judge-revision") + 1])
        assert not any("@{" in word for word in named)
        assert judge_name(str(folder), "v2")[-1] == "v2"
    assert len(revisions) == 2
    assert "--judge-revision" not in judge_name("some-org/some-model")


@pytest.mark.slow
def test_the_demo_from_answers_to_a_table_with_intervals_as_one_graph(bench):
    shutil.copy(DEMO, bench.work / "runs")
    small = ["--behaviors", "agree", "refuse", "--multipliers", "-1", "0", "1", "--limit", "12"]
    done = bench.tiller("run", f"runs/{DEMO.name}", *small, timeout=600, TILLER_FAKE_GPUS="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(bench.states().values()) == {"succeeded"}
    table = bench.tiller("logs", "last", "table").stdout
    assert "6 rows by 2 scorers" in table
    assert table.count("× -1") == table.count("× +1") >= 2  # of both behaviours; more where the labels are a part of their own
    assert "[" in table
    assert "checked: accuracy" in table
    assert "not checked" not in table
    check = bench.tiller("logs", "last", "check").stdout
    assert "κ with demo" in check
    assert check.count("trust") == 3
    report = bench.tiller("logs", "last", "report").stdout
    assert "verdicts, of them 0 tie, 0 unparsed, 0 failed" in report
    scores = [json.loads(line) for path in bench.work.glob("artifacts/scores/*/*.jsonl") for line in path.open()]
    assert len(scores) == len({tuple(score["subjects"]) for score in scores}) == 2 * 3 * 12
    assert not bench.task_processes()  # the server is gone with its last dependent

    again = bench.tiller("run", f"runs/{DEMO.name}", *small, timeout=600, TILLER_FAKE_GPUS="0")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "already there" in bench.tiller("logs", "last", "score_agree").stdout
