"""Statistics of runs: sums that can be done by hand, who is compared with whom, and the two steps as their user meets them."""

from __future__ import annotations

import csv
import io
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from engine.cd.analysis.output_stats import chosen, fit, spans_decades, spread
from engine.cd.analysis.run_distances import balanced, distances
from engine.cd.analysis.runs import Run, check_metrics, read_runs
from engine.cd.analysis.stats_pictures import pictures
from engine.cd.analysis.stats_settings import NgramSettings, StatsSettings
from engine.cd.analysis.token_stats import by_index, lagged, token_means
from engine.cd.cli import main
from engine.cd.decoding.numbers import MEASURES, TokenNumbers
from engine.cd.settings import DecodeSettings
from engine.cd.texts.records import MeasuredText, append_texts
from engine.errors import InputError
from engine.store import Response, Segment, record_cell, response_id, responses_folder, text_hash
from engine.workspace import Workspace

NAN = math.nan
WORDS = ["rain", "fell", "on", "the", "old", "garden", "and", "nobody", "came", "to", "look", "at", "it"]


def measured(cell: str, prompt: str, sample: int, words: list[str], values: list[float]) -> MeasuredText:
    """Every measure of a token is its value; probabilities are those of a perplexity of e^value."""
    one = np.array(values, dtype=np.float32)
    numbers = dict.fromkeys(MEASURES, one) | {"starting_logprob": -one, "comparison_logprob": -2 * one}
    none = (np.zeros((len(one), 0), np.int32), np.zeros((len(one), 0), np.float32))
    pieces = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    ids = [len(word) for word in words]
    return MeasuredText(
        response_id(cell, prompt, sample), cell, prompt, f"Say {prompt}.", sample, "".join(pieces), pieces, ids,
        TokenNumbers(numbers, none, none, none), [], None,
    )  # fmt: skip


def write_cell(workspace: Workspace, cell: str, texts: list[MeasuredText], rule: str) -> None:
    facts = {"starting": {"name": "one"}, "comparison": {"name": "other"}, "rule": rule}
    record_cell(workspace, cell, DecodeSettings().text_settings(), {}, facts)
    responses = [
        Response(text.id, cell, text.prompt_id, text.prompt, text.sample, 0, text.text, text_hash(text.text), "stop", 1)
        for text in texts
    ]
    with Segment(responses_folder(workspace, cell), "w") as segment:
        append_texts(workspace, segment, "w", responses, texts)


def planted(cell: str, seed: int, extra: list[str], prompts: int = 12) -> list[MeasuredText]:
    """Two texts of every prompt; `extra` words stand at their ends and diverge by 5."""
    draw = np.random.default_rng(seed)
    texts = []
    for number in range(prompts):
        for sample in range(2):
            words = [*draw.choice(WORDS, 8), *extra]
            values = [*draw.uniform(0.1, 0.5, 8).tolist(), *(5.0 for _ in extra)]
            texts.append(measured(cell, f"p{number:02}", sample, words, values))
    return texts


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    made = Workspace(tmp_path)
    (tmp_path / "tiller.toml").touch()
    write_cell(made, "aaaa000000000000", planted("aaaa000000000000", 1, []), "S alone")
    write_cell(made, "bbbb000000000000", planted("bbbb000000000000", 2, ["buy", "Zorbo", "soap"]), "S − C logprob")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLER_WORKSPACE", raising=False)
    return made


def test_a_spread_is_over_texts_and_its_interval_over_prompts():
    values = np.array([1.0, 3.0, 5.0, NAN])
    found = spread(values, ["p", "p", "q", "q"])
    assert found is not None
    assert found.mean.mean == 3.5  # of the prompts' means, 2 and 5
    assert (found.mean.units, found.mean.observations, found.texts) == (2, 3, 3)
    assert found.sd == pytest.approx(2.0)
    assert found.quantiles == pytest.approx((1.2, 3.0, 4.8))
    assert spread(np.array([NAN, math.inf]), ["p", "q"]) is None


POINTS = st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=3, max_size=30)


@given(POINTS)
def test_a_fit_is_least_squares(points):
    xs, ys = [x for x, _ in points], [y for _, y in points]
    found = fit(xs, ys)
    if len(set(xs)) == 1:
        assert found is None
        return
    expected = linregress(xs, ys)
    assert found is not None
    assert (found.slope, found.intercept) == pytest.approx((expected.slope, expected.intercept), abs=1e-9)
    if len(set(ys)) > 1:
        assert found.correlation == pytest.approx(expected.rvalue, abs=1e-6)


def test_a_fit_leaves_out_what_is_no_number_and_needs_three_points():
    assert fit([0, 1, 2, NAN], [1, 3, 5, 9]) == fit([0, 1, 2], [1, 3, 5])
    assert fit([0, 1], [0, 1]) is None


def test_of_too_many_points_some_are_chosen_always_the_same():
    keep = np.array([True, False] * 50)
    assert chosen(keep, 99, 0).tolist() == list(range(0, 100, 2))
    some = chosen(keep, 10, 0)
    assert len(some) == 10
    assert some.tolist() == sorted(set(some.tolist()))
    assert keep[some].all()
    assert (chosen(keep, 10, 0) == some).all()
    assert (chosen(keep, 10, 1) != some).any()


def test_only_positive_numbers_over_decades_get_a_logarithmic_axis():
    wide = np.geomspace(1e-5, 1, 50)
    assert spans_decades(wide)
    assert spans_decades(np.append(np.linspace(0.005, 0.009, 97), [5.0, 6.0, 7.0])), "few texts that lie far off"
    assert not spans_decades(np.append(wide, 0.0))
    assert not spans_decades(np.random.default_rng(0).exponential(size=700))
    assert not spans_decades(np.linspace(1, 50, 50))
    assert not spans_decades(np.empty(0))


def test_a_tokens_mean_is_over_its_places_that_count():
    texts = [(["a", "b", "a", ""], np.array([1.0, 7.0, NAN, 9.0])), (["a", "a", "b"], np.array([2.0, 6.0, 8.0]))]
    assert [(one.token, one.mean, one.count) for one in token_means(texts, 2)] == [("b", 7.5, 2), ("a", 3.0, 3)]
    assert [one.token for one in token_means(texts, 3)] == ["a"]


def test_numbers_by_place_and_by_distance_stay_inside_their_text():
    texts = [np.array([1.0, 2.0, 3.0]), np.array([4.0]), np.array([]), np.array([NAN, 5.0, 6.0])]
    np.testing.assert_array_equal(by_index(texts, 2), [[1, 2], [4, NAN], [NAN, NAN], [NAN, 5]])
    assert [side.tolist() for side in lagged(texts, 1)] == [[1.0, 2.0, 5.0], [2.0, 3.0, 6.0]]
    assert [side.tolist() for side in lagged(texts, 2)] == [[1.0], [3.0]]
    assert [side.tolist() for side in lagged([], 1)] == [[], []]


def test_two_runs_are_compared_on_as_many_texts_of_a_prompt_that_both_have():
    first, second = balanced(["a", "a", "b", "c"], ["a", "c", "c", "d"], 99, seed=0)
    assert first.tolist() == [0, 2, 3]
    assert second.tolist() == [0, 1, 3]
    some, others = balanced(["a", "a", "b", "b", "c", "c"], ["a", "a", "b", "b", "c", "c"], 4, seed=0)
    assert some.tolist() == others.tolist()
    assert len(some) == 4  # whole prompts


def test_a_prompt_that_both_have_is_compared_in_both_or_in_neither():
    for seed in range(20):
        ones, others = ["x", "y", "a", "a", "b", "b"], ["a", "a", "b", "b"]
        sides = balanced(ones, others, 4, seed)
        in_ones, in_others = ([prompts[at] for at in places] for prompts, places in zip((ones, others), sides, strict=True))
        assert [prompt for prompt in in_ones if prompt in "ab"] == in_others


def run_of(name: str, texts: list[MeasuredText]) -> Run:
    return Run(name, (name,), (name,), tuple(texts))


def test_runs_that_differ_are_told_from_runs_that_do_not():
    runs = [run_of("a", planted("a", 1, [])), run_of("b", planted("b", 2, [])), run_of("c", planted("c", 3, []))]
    draw = np.random.default_rng(0)
    vectors = [draw.normal(0, 1, (24, 8)).astype(np.float32) for _ in runs]
    vectors[2][:, 0] += 3
    found = {(one.first, one.second): one for one in distances(runs, vectors, 999, 500, seed=0)}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(adjusted > 0.05 for _, adjusted in found["a", "b"].tests)
    for pair in (("a", "c"), ("b", "c")):
        assert all(adjusted < 0.05 for _, adjusted in found[pair].tests)
        assert all(adjusted >= test.p for test, adjusted in found[pair].tests)
    assert [test.name for test, _ in found["a", "c"].tests] == ["energy distance", "MMD²", "C2ST, AUC"]


def test_texts_of_a_prompt_that_are_alike_are_no_evidence_of_their_own():
    """Every run has its own way with each prompt, and says it twice: swapped one by one, texts would seem to differ."""
    runs = [run_of("a", planted("a", 1, [])), run_of("b", planted("b", 2, []))]
    draw = np.random.default_rng(0)
    vectors = [np.repeat(draw.normal(0, 1, (12, 4)), 2, axis=0).astype(np.float32) for _ in runs]
    (found,) = distances(runs, vectors, 999, 500, seed=0)
    assert min(test.p for test, _ in found.tests) > 0.05


def test_cells_are_runs_named_by_what_tells_them_apart_or_pooled_by_name(workspace):
    apart = read_runs(workspace, StatsSettings(cell=("aa", "bb")), ["kl"])
    assert [(run.name, len(run.texts)) for run in apart] == [("S alone", 24), ("S − C logprob", 24)]
    (pooled,) = read_runs(workspace, StatsSettings(cell=("aa", "bb"), groups=("x", "x")), ["kl"])
    assert (pooled.name, len(pooled.texts), len(pooled.cells)) == ("x", 48, 2)
    with pytest.raises(InputError, match="1 names for 2 cells"):
        read_runs(workspace, StatsSettings(cell=("aa", "bb"), groups=("x",)), ["kl"])


def test_perplexity_is_that_of_the_written_tokens(workspace):
    (run, _) = read_runs(workspace, StatsSettings(cell=("aa", "bb")), ["kl"])
    means = run.metric("kl", "generated")
    assert run.metric("starting_perplexity", "generated") == pytest.approx(np.exp(means), rel=1e-5)
    assert run.metric("comparison_perplexity", "generated") == pytest.approx(np.exp(2 * means), rel=1e-5)


def test_what_was_not_measured_and_what_is_no_measure_are_refused(workspace):
    with pytest.raises(InputError, match=r"has numbers of kl in region prompt; .*--measure-prompt"):
        read_runs(workspace, StatsSettings(cell=("aa",), region="prompt"), ["kl"])
    with pytest.raises(InputError, match="--measures nonsense is no measure; it is one of kl,"):
        check_metrics(["nonsense"], "--measures")
    with pytest.raises(InputError, match="--token-measure starting_perplexity"):
        check_metrics(["starting_perplexity"], "--token-measure", perplexities=False)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def only(workspace: Workspace, pattern: str) -> Path:
    (path,) = workspace.plots.glob(pattern)
    return path


def test_stats_tells_draws_and_tests(workspace, capsys):
    assert main(["stats", "aa", "bb", "--permutations", "199", "--shown", "spread", "--listed", "3"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    assert "S alone: 24 texts of 12 prompts, cells aaaa000000000000" in out
    assert "Correlation of kl" in out
    assert "energy distance" in out
    assert "kl of texts — forward KL(S||C), nats" in out
    summary = out.splitlines()[-1]
    assert "48 texts of 2 runs; 10 pictures" in summary
    assert summary.startswith("stats ")
    names = {path.name.removeprefix("cd-stats-").rsplit("-", 1)[0] for path in workspace.plots.glob("*.png")}
    assert names == {"spread", "pooled", "pairs", "positions", "indices", "values", "lags", "tokens", "means", "map"}
    assert {path.stem for path in workspace.plots.glob("*.png")} == {path.stem for path in workspace.plots.glob("*.svg")}
    top = [row["bar"] for row in rows_of(only(workspace, "cd-stats-tokens-*.csv")) if row["group"] == "highest"]
    assert top[3:] == ["␣Zorbo", "␣buy", "␣soap"]
    (kl,) = [
        row
        for row in rows_of(only(workspace, "cd-stats-[0-9a-f]*.csv"))
        if (row["run"], row["metric"], row["of"]) == ("S − C logprob", "kl", "texts")
    ]
    values = [np.mean(text.generated.values["kl"]) for text in planted("bbbb000000000000", 2, ["buy", "Zorbo", "soap"])]
    assert float(kl["mean"]) == pytest.approx(float(np.mean(values)), abs=1e-5)
    tests = rows_of(only(workspace, "cd-stats-tests-*.csv"))
    assert [row["test"] for row in tests] == ["energy distance", "MMD²", "C2ST, AUC"]
    assert all(1 / 200 <= float(row["p"]) <= float(row["adjusted"]) <= 1 for row in tests)


@pytest.mark.slow
def test_the_same_command_gives_the_same_files_and_embeds_nothing_twice(workspace, capsys):
    command = ["stats", "aa", "bb", "--permutations", "19", "--shown"]
    assert main(command) == 0
    before = {path.name: path.read_bytes() for path in workspace.plots.iterdir()}
    assert "embeddings" in capsys.readouterr().err
    assert main(command) == 0
    assert "embeddings" not in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in workspace.plots.iterdir()} == before


def drawn(workspace: Workspace, name: str, **options) -> list[dict[str, str]]:
    """The numbers of one picture of `stats`."""
    settings = StatsSettings(**options)
    found = dict(pictures(read_runs(workspace, settings, settings.measures), settings))
    return list(csv.DictReader(io.StringIO(found[name].numbers())))


@pytest.mark.parametrize(("keep", "count"), [(False, 46), (True, 48)])
def test_outliers_are_left_out_aloud_and_kept_on_demand(workspace, keep, count):
    settings = StatsSettings(cell=("aa", "bb"), measures=("kl",), keep_outliers=keep)
    spread_picture = dict(pictures(read_runs(workspace, settings, ["kl"]), settings))["spread"]
    assert ("2 of 48 texts lie far off and are left out" in spread_picture.text(80, color=False)) != keep
    rows = drawn(workspace, "spread", cell=("aa", "bb"), measures=("kl",), keep_outliers=keep)
    assert sum(int(row["count"]) for row in rows if row["drawn"] == "bin") == count


@pytest.mark.parametrize("name", ["pairs", "positions", "lags", "indices", "values", "means"])
def test_every_picture_says_what_it_leaves_out(workspace, name):
    for keep in (False, True):
        settings = StatsSettings(cell=("aa", "bb"), measures=("kl", "js"), keep_outliers=keep)
        text = dict(pictures(read_runs(workspace, settings, ["kl"]), settings))[name].text(80, color=False)
        assert ("lie far off and are left out" in text) != keep


@pytest.mark.parametrize("name", ["pairs", "positions", "lags", "values"])
def test_points_that_are_too_many_are_counted_aloud(workspace, name):
    settings = StatsSettings(cell=("aa",), measures=("kl", "js"), keep_outliers=True, max_points=10)
    text = dict(pictures(read_runs(workspace, settings, ["kl"]), settings))[name].text(80, color=False)
    assert re.search(rf"^{20 if name == 'values' else 10} of \d+ are drawn \(--max-points\)$", text, re.MULTILINE)


def test_skipped_tokens_are_in_no_picture_of_tokens(workspace):
    options = {"cell": ("bb",), "skip": 0.8, "keep_outliers": True}
    counted = drawn(workspace, "values", **options)
    assert sum(int(row["count"]) for row in counted if row["drawn"] == "bin") == 24 * 2  # of 11 tokens the last 2
    assert {row["bar"] for row in drawn(workspace, "tokens", **options)} == {"␣Zorbo", "␣soap"}
    places = {float(row["x"]) for row in drawn(workspace, "positions", **options)}
    assert places == {9.0, 10.0}


def test_a_token_counts_once_in_the_histogram_of_means(workspace):
    rows = drawn(workspace, "means", cell=("bb",), keep_outliers=True, min_count=1)
    assert sum(int(row["count"]) for row in rows if row["drawn"] == "bin") == len(
        {token for text in planted("bbbb000000000000", 2, ["buy", "Zorbo", "soap"]) for token in text.tokens}
    )


def test_no_more_points_are_drawn_than_were_asked_for(workspace):
    for name, group in (("positions", "group"), ("pairs", "group")):
        rows = drawn(workspace, name, cell=("aa", "bb"), max_points=10, measures=("kl", "js"))
        counts = Counter(row[group] for row in rows)
        assert set(counts.values()) == {10}


def test_runs_have_the_marks_that_were_given(workspace):
    settings = StatsSettings(cell=("aa", "bb"), markers=("s",))
    picture = dict(pictures(read_runs(workspace, settings, ["kl"]), settings))["positions"]
    assert "■" in picture.text(80, color=False)


@pytest.mark.slow
def test_without_embeddings_no_model_is_loaded(workspace):
    code = (
        "import sys\nfrom engine.cd.cli import main\n"
        "assert main(['stats', 'aa', '--no-embeddings', '--measures', 'kl', '--shown']) == 0\n"
        "assert 'torch' not in sys.modules, 'torch was loaded'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "7 pictures" in done.stdout


def test_ngrams_finds_what_diverges(workspace, capsys):
    assert main(["ngrams", "bb", "--n-to", "3", "--listed", "4"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    first = out.splitlines()[1].split()
    assert first == ["buy", "zorbo", "soap", "24", "24", "360.00", "15.000"]
    rows = rows_of(only(workspace, "cd-ngrams-*.csv"))
    assert rows[0]["word"] == "buy zorbo soap"
    assert float(rows[0]["value"]) == pytest.approx(360)


def test_ngrams_counts_where_divergences_are_ignored(workspace, capsys):
    assert main(["ngrams", "aa", "--ignore-divergences", "--unit", "tokens"]) == 0
    rows = rows_of(only(workspace, "cd-ngrams-*.csv"))
    assert all(float(row["value"]) == int(row["count"]) for row in rows)
    assert "sum" not in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["stats", "cc"], "begins with 'cc'"),
        (["stats", "aa", "--measures"], "--measures names nothing to draw"),
        (["stats", "aa", "--measures", "x"], "--measures x is no measure"),
        (["ngrams", "aa", "--n", "3", "--n-to", "2"], "--n-to 2 is below --n 3"),
        (["ngrams"], "There are 2 cells of texts; name one or more"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(workspace, capsys, command, sentence):
    assert main(command) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not workspace.plots.exists()


def test_settings_need_neither_numpy_nor_torch():
    code = "import sys, engine.cd.analysis.stats_settings; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_more_points_than_are_drawn_change_the_key():
    assert StatsSettings(max_points=10).key() != StatsSettings().key()
    assert StatsSettings(shown=("map",), listed=3).key() == StatsSettings().key()
    assert NgramSettings(listed=3).key() == NgramSettings().key()
