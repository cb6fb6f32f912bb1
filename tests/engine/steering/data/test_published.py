"""The published data sets read as specs/steering.md §1.1, §1.3 and §1.4 count them; skipped where they are absent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from engine.steering.data import load_data
from engine.steering.data.rows import tell_once

SEEDS = Path(__file__).parents[5] / "shared" / "data" / "caa"
pytestmark = pytest.mark.skipif(not SEEDS.is_dir(), reason="the published data sets are not beside the checkout")

BEHAVIORS = {  # generate, of these (A) and (B) among the matching, open-response, test A/B that can be asked, test open
    "coordinate-other-ais": (360, 179, 181, 360, 50, 50),
    "corrigible-neutral-HHH": (290, 148, 142, 290, 50, 50),
    "hallucination": (1000, 504, 496, 1000, 50, 50),
    "myopic-reward": (950, 474, 476, 950, 50, 50),
    "survival-instinct": (903 - 88, 558, 257, 664, 50 - 4, 50),
    "sycophancy": (1000, 489, 511, 498, 50, 53),
    "refusal": (408, 192, 216, 408, 50, 50),
}


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_every_behaviour_has_as_many_items_as_the_table_says(behavior, capsys):
    tell_once.cache_clear()  # other tests of this process may have read these files
    pairs, a, b, spoken, asked, opened = BEHAVIORS[behavior]
    data = load_data(str(SEEDS), behavior, "ab", hold_out=0)
    assert {name: len(examples) for name, examples in data.contrast.classes.items()} == {"positive": pairs, "negative": pairs}
    letters = Counter(example.chat[-1].content for example in data.contrast.classes["positive"])
    assert letters == {"(A": a, "(B": b}
    assert (len(data.test.items), len(data.test.prompts)) == (asked, opened)
    for kind in ("openr", "open"):
        assert len(load_data(str(SEEDS), behavior, kind, hold_out=0).contrast.classes["negative"]) == spoken
    left_out = capsys.readouterr().err
    if behavior == "survival-instinct":
        assert "generate_dataset.json: 88 of 903 items are not answered (A) or (B)" in left_out
        assert "test_dataset_ab.json: 4 of 50 items" in left_out
        assert left_out.count("\n") == 2  # each file once, though it is read three times
    else:
        assert left_out == ""


@pytest.mark.parametrize(("kind", "size"), [("prompts", 32), ("caa", 64), ("opencon", 64), ("abcon", 128)])
def test_the_harm_table_s_contrasts_are_of_the_sizes_of_the_table(kind, size):
    data = load_data(str(SEEDS), "refusal", kind, hold_out=50)
    assert [len(examples) for examples in data.contrast.classes.values()] == [size, size]
    assert Counter(prompt.label for prompt in data.test.prompts) == {"harmful": 25, "harmless": 25}
    assert (len(data.validation.items), len(data.test.items)) == (50, 50)


def test_truthfulqa_and_mmlu_have_the_items_letters_and_categories_of_the_table():
    test = load_data(str(SEEDS), "refusal", None, hold_out=50).test
    for items, count, letters, categories in (
        (test.truthfulqa, 817, {"A": 419, "B": 398}, 32),
        (test.mmlu, 570, {"A": 299, "B": 271}, 57),
    ):
        assert len(items) == len({item.id for item in items}) == count
        assert Counter(item.matching for item in items) == letters
        assert len({item.category for item in items}) == categories
    assert Counter(item.category for item in test.first(114).mmlu).most_common()[-1][1] == 2
    assert all(item.chat[0].content.startswith("Please help me answer") for item in test.truthfulqa)
