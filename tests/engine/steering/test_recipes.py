"""The published grids as graphs (specs/steering.md §8.2): which points, which ranges, what waits for what; the run files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.steering.recipes import (
    BEHAVIORS,
    HARM,
    Point,
    add_grid,
    grid,
    published_grid,
    shared_judge,
)
from gpu_graph import Graph

RUNS = Path(__file__).parents[3] / "runs"
RUN_FILES = ["20261121_caa_experiment.py", "20261121_steering_llama3_grid.py", "20261121_finetuning_comparison.py"]


def graph_of(points, **options) -> dict:
    graph = Graph("grid")
    judging = shared_judge(graph, ["demo.agreeing"])
    add_grid(graph, points, judging, dataset="data", **options)
    return {task.id: task for task in graph.spec().tasks}


def words_of(task) -> list[str]:
    return list(task.command)


def after(words: list[str], option: str) -> list[str]:
    """The values of an option: the words behind it up to the next one."""
    rest = words[words.index(option) + 1 :]
    return rest[: next((i for i, word in enumerate(rest) if word.startswith("--")), len(rest))]


def test_the_published_experiment_has_138_points_per_model():
    points = published_grid(["one", "two"])
    assert len(points) == len({point.id for point in points}) == 276
    assert {point.behavior for point in points} == {*BEHAVIORS, HARM}
    assert {point.contrast for point in points} == {"ab", "openr", "open", "opencon", "caa", "abcon", "prompts"}
    assert all(point.contrast in ("ab", "abcon") for point in points if point.logit)


RANGES = [  # §8.2: contrast, log-odds, one stream layer → the largest multiplier
    ("ab", False, False, 4),
    ("ab", True, False, 16),
    ("ab", False, True, 10),
    ("ab", True, True, 40),
    ("openr", False, False, 2),
    ("open", False, True, 5),
    ("opencon", False, False, 1),
    ("caa", False, True, 3.75),
    ("abcon", True, False, 12),
    ("prompts", False, False, 1.5),
]


@pytest.mark.parametrize(("contrast", "logit", "stream", "largest"), RANGES)
def test_the_published_ranges(contrast, logit, stream, largest):
    point = Point("m", contrast, HARM, 15 if stream else None, logit)
    found = point.multipliers()
    assert len(found) == 21
    assert (found[0], found[10], found[-1]) == (-largest, 0, largest)
    assert found == tuple(-m for m in reversed(found))


def test_fifteen_steps_of_a_stretched_range_are_rounded_to_five_decimals():
    found = Point("m", "openr", "refusal").multipliers(steps=15, stretch=1.5)
    assert len(found) == 31
    assert found[-3:] == (2.6, 2.8, 3.0)
    assert Point("m", "opencon", HARM).multipliers(steps=15)[16] == 0.06667


def test_transports_know_only_the_sign():
    assert Point("m", "prompts", HARM, 15, edit="quad").multipliers(15, 1.5) == (-1, 0, 1)


def test_a_contrast_without_a_published_range_is_named():
    with pytest.raises(InputError, match="'classes'"):
        Point("m", "classes", "voices.polite").multipliers()


def test_only_combinations_with_a_meaning_are_points():
    points = list(grid(["m"], ["ab", "prompts"], ["refusal"], [None, 15], ["none", "scrub", "quad"], [False, True]))
    assert len(points) == len(set(points))
    assert {point.behavior for point in points if point.contrast == "prompts"} == {HARM}
    assert not [point for point in points if point.logit and (point.contrast == "prompts" or point.edit != "none")]
    assert {point.layer for point in points if point.edit == "scrub"} == {None}
    assert {point.layer for point in points if point.edit == "quad"} == {15}


def test_a_group_loads_its_model_once_for_all_vectors_and_once_for_each_kind_of_editor():
    points = list(grid(["m"], ["ab"], ["refusal", "sycophancy"], [None, 13], ["none", "leace", "scrub"]))
    tasks = graph_of(points, steps=2)
    assert {name for name in tasks if name.startswith("vectors")} == {"vectors_m_ab"}
    assert after(words_of(tasks["vectors_m_ab"]), "--behavior") == ["refusal", "sycophancy"]
    assert {name for name in tasks if name.startswith("fit")} == {"fit_m_ab_leace", "fit_m_ab_scrub"}
    assert after(words_of(tasks["fit_m_ab_leace"]), "--site") == ["stream", "attn", "mlp"]
    assert after(words_of(tasks["fit_m_ab_scrub"]), "--multipliers") == ["-4.0", "-2.0", "0.0", "2.0", "4.0"]
    assert tasks["apply_m_ab_refusal_L13_none"].after == ("vectors_m_ab",)
    assert tasks["apply_m_ab_refusal_L13_leace"].after == ("fit_m_ab_leace",)
    assert tasks["fit_m_ab_leace"].after == ("vectors_m_ab",)


def test_one_judge_serves_the_whole_grid_and_plots_do_not_wait_for_it():
    tasks = graph_of(published_grid(["one", "two"]))
    assert [task.id for task in tasks.values() if task.kind == "service"] == ["judge"]
    scores = [task for name, task in tasks.items() if name.startswith("score")]
    assert len(scores) == 276
    assert all("judge" in task.after and "@{judge.url}/v1" in task.command for task in scores)
    plots = [task for name, task in tasks.items() if name.startswith("plot")]
    assert all("judge" not in task.after and not any("@{" in word for word in task.command) for task in plots)
    assert all("--judge-model" in task.command for task in plots)


def test_harm_prompts_are_of_two_kinds_and_judged_yes_or_no():
    tasks = graph_of([Point("m", "ab", HARM, 15), Point("m", "ab", "refusal", 15)])
    harm, refusal = (tasks[f"score_m_ab_{name}_L15_none"] for name in (HARM, "refusal"))
    assert after(words_of(harm), "--rubric") == ["refusal-yes-no"]
    assert "--rubric" not in refusal.command
    assert (after(words_of(harm), "--limit"), after(words_of(refusal), "--limit")) == (["50"], ["25"])


def test_labels_place_every_curve_in_the_grid():
    tasks = graph_of(published_grid(["some-org/one"]))
    places = [tuple(sorted(task.labels.items())) for name, task in tasks.items() if name.startswith("plot")]
    assert len(set(places)) == 138
    assert dict(places[0])["model"] == "one"


@pytest.mark.parametrize("name", RUN_FILES)
def test_run_files_plan(bench, name):
    shutil.copy(RUNS / name, bench.work / "runs")
    planned = bench.tiller("run", f"runs/{name}", "--dry-run", TILLER_FAKE_GPUS="0")
    assert planned.returncode == 0, planned.stderr
    assert "a service" in planned.stdout


def test_the_published_grid_plans_in_seconds(bench):
    shutil.copy(RUNS / RUN_FILES[1], bench.work / "runs")
    options = ["--published", "--models", "demo", "demo-base", "--dataset", "data/caa"]
    planned = bench.tiller("run", f"runs/{RUN_FILES[1]}", *options, "--dry-run", TILLER_FAKE_GPUS="8")
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.count("apply_demo_") + planned.stdout.count("\n  apply_demo-base_") >= 276


SMALL = {
    RUN_FILES[0]: [
        "--behaviors",
        "agree",
        "--personas",
        "agree",
        "--layers",
        "2",
        "3",
        "--multipliers",
        "-1",
        "0",
        "1",
        "--limit",
        "6",
    ],
    RUN_FILES[1]: ["--contrasts", "ab", "--edits", "none", "leace", "scrub", "--steps", "1", "--limit", "4"],
    RUN_FILES[2]: ["--multipliers", "-1", "0", "1", "--limit", "6"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_FILES)
def test_run_files_run_on_the_demo_and_find_their_work_done_the_second_time(bench, name):
    shutil.copy(RUNS / name, bench.work / "runs")
    done = bench.tiller("run", f"runs/{name}", *SMALL[name], timeout=900, TILLER_FAKE_GPUS="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(bench.states().values()) == {"succeeded"}
    assert list(bench.work.glob("artifacts/plots/*.png"))
    before = {path: path.stat().st_mtime_ns for path in bench.work.glob("artifacts/responses/*/*.jsonl")}
    assert before
    again = bench.tiller("run", f"runs/{name}", *SMALL[name], timeout=900, TILLER_FAKE_GPUS="0")
    assert again.returncode == 0, again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in bench.work.glob("artifacts/responses/*/*.jsonl")} == before
