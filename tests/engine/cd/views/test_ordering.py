"""Sorting is a view: §8.5's orders, and numbers that stay with their prompts whatever the order (§7.3, §8.7)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cd.views.ordering import by_prompt, ordered, prompt_means

VALUES = [0.1, 0.3, 0.5, 0.2, 0.9, 0.05]
PROMPTS = ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize(
    ("order", "prompts", "expected"),
    [
        ("published", PROMPTS, [4, 5, 2, 3, 1, 0]),
        ("published", ["a"] * 6, [4, 2, 1, 3, 0, 5]),
        ("text", PROMPTS, [4, 2, 1, 3, 0, 5]),
        ("prompt", PROMPTS, [4, 5, 2, 3, 1, 0]),
        ("none", PROMPTS, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_orders_of_the_published_example(order, prompts, expected):
    assert ordered(order, VALUES, prompts) == expected


def test_prompt_means_are_in_prompt_order():
    """The original returned the sorted means, so that prompts got those of others."""
    assert prompt_means(VALUES, PROMPTS) == pytest.approx({"a": 0.2, "b": 0.35, "c": 0.475})
    assert list(prompt_means(VALUES, PROMPTS)) == ["a", "b", "c"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-9, 9)), min_size=1, max_size=30), st.randoms())
def test_means_belong_to_their_prompts_in_any_order(texts, random):
    shuffled = random.sample(texts, len(texts))
    means = prompt_means([value for _, value in texts], [name for name, _ in texts])
    assert prompt_means([value for _, value in shuffled], [name for name, _ in shuffled]) == pytest.approx(means)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 9) | st.just(math.nan)), max_size=30), st.sampled_from(
    ["text", "prompt", "published", "none"]
))  # fmt: skip
def test_every_order_shows_every_text_once(texts, order):
    places = ordered(order, [value for _, value in texts], [name for name, _ in texts])
    assert sorted(places) == list(range(len(texts)))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 9)), max_size=30))
def test_prompts_stay_together_when_sorted_by_prompt(texts):
    names = [name for name, _ in texts]
    places = ordered("prompt", [value for _, value in texts], names)
    runs = [names[place] for at, place in enumerate(places) if at == 0 or names[places[at - 1]] != names[place]]
    assert len(runs) == len(set(names))


def test_texts_without_a_number_come_last_and_count_nowhere():
    values = [math.nan, 1.0, 2.0]
    assert ordered("text", values, "aab") == [2, 1, 0]
    assert prompt_means(values, "aab") == {"a": 1.0, "b": 2.0}
    assert math.isnan(prompt_means([math.nan], "a")["a"])
    assert by_prompt(values, "aab") == {"a": [1.0], "b": [2.0]}
