"""`tiller cd search show`, presets, and options that do not go together."""

from __future__ import annotations

import csv
import io

import pytest

from engine.cd.cli import main
from engine.cd.search.presets import PLAIN, PRESETS
from engine.cd.search.records import Attempt, Entry, append_attempt
from engine.cd.search.settings import SearchSettings
from engine.cd.search.statistics import CycleStatistics, Spread
from engine.store import Segment

ENTRIES = [
    Entry(f"p{number}", f"prompt {number}\x1b[31m <b>", float(number % 7), f"said {number}", float(number % 2), number // 5, 0)
    for number in range(25)
]


def write(workspace, key: str, entries=ENTRIES) -> None:
    """A search of 4 cycles with 5 prompts each, after as many prompts given."""
    statistics = CycleStatistics(Spread(1, 0.5, 0, 2), Spread(2, 0.5, 1, 3), None, None)
    with Segment(workspace / f"artifacts/searches/{key}/log", "writer") as segment:
        for cycle in range(5):
            found = tuple(entry for entry in entries if entry.cycle == cycle)
            append_attempt(segment, Attempt(0, cycle, cycle, (), 5, {}, None, found, ("p1", "p2"), statistics))


@pytest.fixture
def show(capsys):
    def run(*words: str, status: int = 0) -> tuple[str, str]:
        code = main(["search", "show", *words])
        out, err = capsys.readouterr()
        assert code == status, err
        return out, err

    return run


def test_the_highest_and_the_lowest_are_shown_and_the_curve_is_saved(workspace, show):
    write(workspace, "aa11")
    out, _ = show("--top", "3")
    high, low = out.split("The 3 lowest of 25 prompts")
    assert "The 3 highest of 25 prompts, by divergence" in high
    assert [float(line.split()[0]) for line in high.splitlines()[3:6]] == [6, 6, 6]
    assert [float(line.split()[0]) for line in low.splitlines()[3:6]] == [0, 0, 0]
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith("search show"))
    assert "\x1b" not in out
    assert "search show aa11: 25 prompts → artifacts/plots/search-aa11.png" in out
    numbers = list(csv.DictReader((workspace / "artifacts/plots/search-aa11.csv").read_text().splitlines()))
    best = [(row["cycle"], float(row["mean"])) for row in numbers if row["curve"] == "best new prompt"]
    assert best == [(str(cycle), max(e.divergence for e in ENTRIES if e.cycle == cycle)) for cycle in range(5)]


@pytest.mark.parametrize("sort", ["divergence", "criterion", "cycle"])
def test_views_are_sorted_and_csv_holds_the_whole_bank(workspace, show, sort):
    write(workspace, "aa11")
    out, _ = show("--csv", "--sort", sort)
    rows = list(csv.DictReader(io.StringIO(out)))
    values = [float(row[sort]) for row in rows]
    assert values == sorted(values, reverse=sort != "cycle")
    assert {row["prompt_id"]: float(row["divergence"]) for row in rows} == {e.prompt_id: e.divergence for e in ENTRIES}


def test_a_search_is_found_by_the_beginning_of_its_key(workspace, show):
    _, err = show(status=2)
    assert "begin one with `tiller cd search`" in err
    for key in ("aa11", "aa22", "bb33"):
        write(workspace, key, ENTRIES[:5])
    assert "search show aa22: 5 prompts" in show("aa2")[0]
    assert "search show bb33" in show()[0]
    assert "several searches begin with 'aa'; give one of aa11, aa22" in show("aa", status=2)[1]
    assert "no search begins with 'x'; give one of aa11, aa22, bb33" in show("x", status=2)[1]


def test_presets_fill_what_is_not_given():
    assert SearchSettings().resolved().model_dump().items() >= PLAIN.items()
    for name, values in PRESETS.items():
        settings = SearchSettings(preset=name, assistant="demo").resolved()
        assert settings.model_dump().items() >= {**PLAIN, **values}.items()
        given = SearchSettings(preset=name, assistant="demo", cycles=3, diversity_weight=0.25).resolved()
        assert (given.cycles, given.diversity_weight) == (3, 0.25)


def test_the_published_weights_of_the_ablations():
    """§4.6: divergence, criterion, diversity."""
    weights = {
        name: tuple(getattr(SearchSettings(preset=name, assistant="demo").resolved(), f"{part}_weight") for part in PARTS)
        for name in PRESETS
    }
    assert weights["no-diversity"] == (1, 0, 0)
    assert weights["no-divergence"] == (0, 1, 1)
    assert weights["no-weighting"] == (0, 0, 0)
    assert weights["no-divergences"] == (0, 0, 1)
    assert weights["broad"] == weights["random-divergences"] == weights["no-context-divergences"] == (1, 0, 1)


PARTS = ("divergence", "criterion", "diversity")


def test_a_preset_and_its_values_given_are_one_search():
    named = SearchSettings(preset="no-diversity").resolved()
    given = SearchSettings(cycles=20, repeats=10, diversity_weight=0.0).resolved()
    assert named.key(models="m") == given.key(models="m")
    assert named.key(models="m") != SearchSettings(cycles=20, repeats=10).resolved().key(models="m")


BAD = {
    "an unknown measure": (["--measure", "distance"], "--measure takes one of kl, "),
    "a measure that is not taken": (["--measure", "weighted"], "There is no measure weighted"),
    "random divergences for nobody": (["--preset", "random-divergences"], "give --assistant"),
    "a wording for nobody": (["--wording", "hypotheses"], "--wording is about an assistant"),
    "a criterion for nobody": (["--criterion", "x?"], "--criterion is about an assistant"),
    "two criteria": (["--criterion", "x?", "--criterion-rubric", "hedging"], "give one of them"),
    "no criterion to weigh": (["--criterion-weight", "1"], "Criterion weight 1, but there is no criterion"),
    "no criterion to require": (["--require-criterion"], "--require-criterion, but there is no criterion"),
    "a rubric that is not there": (["--criterion-rubric", "nothing"], "nothing"),
    "a share above 1": (["--fresh", "1.5"], "--fresh 1.5"),
    "no such wording": (["--assistant", "demo", "--wording", "no.toml"], "There is no wording no.toml"),
    "no such prompts": (["--prompts", "no.txt"], "no.txt"),
    "no such embedder": (["--embedder", "/no/such/folder"], "/no/such/folder"),
    "no such model": (["--comparison", "/no/such/model"], "/no/such/model"),
    "nothing to do": (["--cycles", "0"], "--cycles 0 only scores the prompts given, and there are none"),
    "two experts": (["--comparison-weight", "1"], "--comparison-weight 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_options_that_cannot_be_are_refused_before_anything_is_written(search, workspace, case):
    words, said = BAD[case]
    out, err = search(*words, status=2)
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert not (workspace / "artifacts").exists()
