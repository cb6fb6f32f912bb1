"""Grids of contrasts as graphs: which cells, with which options, and what waits for what; the run file and the presets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.cd.cli import main
from engine.cd.options import check_combination
from engine.cd.recipes import DIRECTIONS, NEUTRAL_PROMPTS, PRESETS, Point, add_decoding, add_views, grid, preset
from engine.cd.settings import DecodeSettings
from engine.command_line import parse
from engine.errors import InputError
from gpu_graph import Graph

RUN_FILE = Path(__file__).parents[3] / "runs" / "20261122_contrastive_demo.py"
PAIRS = [("demo", "demo-base"), ("/models/a b", "hub/c")]


def settings_of(words: list[str]) -> DecodeSettings:
    """As the command line reads them."""
    assert words[:3] == ["tiller", "cd", "decode"]
    return parse(DecodeSettings, words[3:], "decode")


def test_a_grid_is_every_combination_that_has_a_meaning():
    points = grid(PAIRS, ("S-C", "C", "S"), (None, 0.5))
    assert len(points) == len({point.id for point in points}) == 2 * (2 + 1 + 2)
    assert {point.used_rule for point in points if point.direction in ("S", "C")} == {"none"}


@pytest.mark.parametrize(("wrong", "said"), [({"directions": ("S-C", "X")}, "direction 'X'"), ({"rule": "x"}, "rule 'x'")])
def test_what_no_task_could_do_is_refused_with_the_plan(wrong, said):
    with pytest.raises(InputError, match=said):
        grid(PAIRS, **wrong)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_direction_is_a_contrast_that_decoding_takes(direction):
    for rule in ("logprob_difference", "prob_difference"):
        graph = Graph("g")
        (made,) = add_decoding(graph, grid([PAIRS[1]], (direction,), rule=rule), ["--prompts", "p.txt"])
        settings = settings_of(list(graph.spec().tasks[0].command))
        check_combination(settings)
        assert (settings.starting, settings.comparison) == PAIRS[1]
        assert settings.name == made.cell
        assert (settings.starting_weight, settings.comparison_weight) == DIRECTIONS[direction]


def test_views_wait_for_what_they_show():
    graph = Graph("g")
    made = add_decoding(graph, grid([PAIRS[0]], ("S-C", "S"), (None, 0.99)), ["--prompts", "demo"], name="x.")
    add_views(graph, made)
    tasks = {task.id: task for task in graph.spec().tasks}
    assert len(tasks) == 4 + 4 + 1
    for one in made:
        assert one.cell in tasks[f"show_{one.point.id}"].command
        assert tasks[f"show_{one.point.id}"].after == (f"decode_{one.point.id}",)
        assert one.cell.startswith("x.")
    assert set(tasks["cells"].after) == {f"decode_{one.point.id}" for one in made}


def test_weights_of_interpolation_are_told_apart():
    one, other = Point("a", "b", interpolate=0.5), Point("a", "b", interpolate=0.99)
    assert one.id != other.id
    assert other.options()[-2:] == ["--interpolate", "0.99"]


def test_models_that_end_alike_are_told_apart_and_keep_their_names_in_other_grids():
    paths = ["/runs/one/final", "/runs/two/final", f"/models/{'x' * 30}1", f"/models/{'x' * 30}2"]
    graph, fewer = Graph("g"), Graph("g")
    made = add_decoding(graph, grid([(path, "base") for path in paths]), ["--prompts", "p.txt"])
    add_views(graph, made)
    graph.spec()
    assert len({one.cell for one in made}) == 4
    again = add_decoding(fewer, grid([(path, "base") for path in paths[1::-1]]), ["--prompts", "p.txt"])
    assert {one.cell for one in again} == {one.cell for one in made[:2]}
    (lone,) = add_decoding(Graph("g"), grid([(paths[0], "base")]), [])
    assert lone.cell == lone.point.id


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_options_of_decode(name):
    own = [] if "--prompt" in PRESETS[name] else ["--prompts", "mine.txt"]
    point = Point("a", "b", rule="prob_difference")
    settings = settings_of(["tiller", "cd", "decode", *point.options(), *preset(name), *own])
    assert (settings.temperature, settings.top_p, settings.floor) == (0.6, 0.95, 1e-7)
    assert settings.exact_length
    assert settings.limit_top_p == 0.9


def test_a_preset_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    point = Point("demo", "demo-base", rule="prob_difference")
    ask = ["--prompts", "demo", "--samples", "2", "--limit", "2", "--name", "quick"]
    assert main(["decode", *point.options(), *preset("quick"), *ask]) == 0
    assert "4 texts of 2 prompts" in capsys.readouterr().out
    assert main(["show", "quick", "--top", "1"]) == 0
    assert "S − C prob" in capsys.readouterr().out


def test_names_of_cells_are_no_keys_and_may_move(tmp_path, monkeypatch, capsys):
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    ask = ["decode", "--prompt", "Tell me about owls.", "--samples", "1", "--max-new-tokens", "4"]
    for wrong in ("abc123", "a b", "../x", ""):
        assert main([*ask, "--name", wrong]) == 2
        assert "--name" in capsys.readouterr().err
    assert main([*ask, "--name", "first"]) == 0
    assert main([*ask, "--name", "first", "--seed", "1"]) == 0
    assert main([*ask, "--name", "second", "--seed", "1"]) == 0
    out, err = capsys.readouterr()
    cells = [line.split("cell ")[1].split(",")[0] for line in out.splitlines()]
    assert f"'first' was the name of cell {cells[0]}" in err
    assert f"cell {cells[1]} is called 'first' too" in err
    assert main(["show"]) == 0
    assert f"{cells[1][:8]}  first, second, demo / demo-base" in capsys.readouterr().out
    assert main(["show", "first"]) == 0
    assert f"cell {cells[1]}" in capsys.readouterr().out


def test_neutral_prompts_are_distinct_beginnings():
    assert len(set(NEUTRAL_PROMPTS)) == len(NEUTRAL_PROMPTS) >= 10
    assert not any(prompt.endswith((" ", ".", "?")) for prompt in NEUTRAL_PROMPTS)


def test_the_run_file_plans_every_step(bench):
    shutil.copy(RUN_FILE, bench.work / "runs")
    done = bench.tiller("run", f"runs/{RUN_FILE.name}", "--dry-run")
    assert done.returncode == 0, done.stderr
    for task in ("decode_demo_demo-base_S-C", "show_demo_demo-base_C", "cells", "search", "stats", "ngrams", "analyse"):
        assert task in done.stdout + done.stderr
