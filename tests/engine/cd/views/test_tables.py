"""Tables about texts: what is said of few prompts, of texts without a token and of infinite numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.cd.decoding.numbers import MEASURES, TokenNumbers
from engine.cd.texts.records import CellMeans, MeasuredText
from engine.cd.views.ordering import prompt_means
from engine.cd.views.tables import cells_table, entries_table, prompts_table, summary
from engine.cd.views.vocabulary import Entry


def cell(values: list[float], prompts: list[str]) -> CellMeans:
    means = {name: np.array(values) for name in MEASURES} | {"starting_logprob": np.array([-1.0] * len(values))}
    count = len(values)
    lengths = np.ones(count, dtype=np.int64)
    return CellMeans("0123456789abcdef", ["i"] * count, prompts, prompts, np.arange(count), ["x"] * count, lengths, means)


def text(values: list[float], prompt: str = "p") -> MeasuredText:
    count = len(values)
    ranked = np.zeros((count, 1), np.int32), np.zeros((count, 1), np.float32)
    generated = TokenNumbers({name: np.array(values, np.float32) for name in MEASURES}, ranked, ranked, ranked)
    return MeasuredText("i", "c", prompt, prompt, 0, "x" * count, ["x"] * count, [0] * count, generated, (), None)


def last_row(table: str) -> str:
    return table.splitlines()[-1]


def test_one_prompt_has_a_mean_and_no_interval():
    assert "2.0000 [–]" in last_row(cells_table([cell([1.0, 3.0], ["p", "p"])], ["a"], "kl"))
    assert "2.0000 [1.0000–3.0000]" in last_row(cells_table([cell([1.0, 3.0], ["p", "q"])], ["a"], "kl"))


@pytest.mark.filterwarnings("error")
def test_infinite_numbers_have_no_interval_and_warn_of_nothing():
    assert "inf [–]" in last_row(cells_table([cell([1.0, math.inf], ["p", "q"])], ["a"], "kl"))
    both = prompt_means([math.inf, -math.inf, 1.0], ["p", "p", "q"])
    assert math.isnan(both["p"])
    assert both["q"] == 1.0


def test_prompts_whose_texts_are_all_empty_come_last_and_have_no_number():
    table = prompts_table([text([]), text([1.0, 2.0], "q")], "kl", "generated", None)
    assert [line.split() for line in table.splitlines()[1:]] == [["q", "1.5000", "1"], ["p", "–", "1"]]


def test_a_summary_is_of_prompts_as_the_table_of_cells_is():
    texts = [text([1.0]), text([1.0]), text([1.0]), text([3.0], "q")]
    assert summary(texts).startswith("mean kl 2.0000,")
    assert summary([text([])]) == "no kl"


def test_where_no_entry_counts_that_is_said():
    assert entries_table("Written tokens", [], "mean") == "Written tokens: none occurs 3 times."
    assert "--alternatives" in entries_table("Vocabulary entries", [], "sum")
    assert "by sum" in entries_table("Vocabulary entries", [Entry("x", 1, 2.0)], "sum")
