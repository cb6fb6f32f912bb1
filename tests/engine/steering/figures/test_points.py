"""From records to points: means, bands, differences, costs; P18 and P19 of specs/steering.md §11."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.statistics import bootstrap, bootstrap_ratio
from engine.steering.figures.letters import letter_mean, letter_value
from engine.steering.figures.points import point

P18 = [
    {"p_a": 0.2, "p_b": 0.1, "matching": "A"},
    {"p_a": 0.05, "p_b": 0.15, "matching": "B"},
    {"p_a": 0.3, "p_b": 0.1, "matching": "C"},
]


@pytest.mark.parametrize(("legacy", "mean"), [(True, 0.4722), (False, 0.7083)])
def test_p18_items_answered_with_another_letter_count_zero_only_as_published(legacy, mean):
    assert letter_mean(P18, legacy) == pytest.approx(mean, abs=5e-5)


def test_the_published_mean_differs_by_the_other_letters_only():
    assert letter_mean(P18[:2], legacy=True) == letter_mean(P18[:2])
    assert [letter_value(one) for one in P18] == [pytest.approx(2 / 3), pytest.approx(0.75), None]


def test_p19_the_mean_and_the_middle_half_of_the_prompts():
    units = {str(n): [float(s) for s in scores] for n, scores in enumerate([[1, 0], [1, 1], [0, 0], [1, 1]])}
    at = point(0.0, units, share=True, band="quartiles")
    assert (at.mean, at.low, at.high) == (0.625, 0.375, 1.0)
    assert (at.units, at.observations) == (4, 8)


def test_a_point_is_the_mean_over_units_of_their_means():
    found = point(0.5, {"a": [1.0, 0.0], "b": [1.0]})
    assert (found.mean, found.units, found.observations) == (0.75, 2, 3)


def test_the_bootstrap_interval_is_that_of_the_mean():
    means = np.random.default_rng(1).normal(0.5, 0.1, 400)
    low, high = bootstrap(means)
    assert (low, high) == pytest.approx((means.mean() - 1.96 * 0.1 / 20, means.mean() + 1.96 * 0.1 / 20), abs=0.003)
    assert bootstrap(means) == (low, high)
    assert bootstrap(np.full(9, 0.25)) == (0.25, 0.25)


def test_the_interval_of_a_ratio_weighs_units_by_their_size():
    tokens = np.random.default_rng(2).integers(5, 50, 400)
    extra = 0.1 * tokens + np.random.default_rng(3).normal(0, 1, 400)
    ratio = extra.sum() / tokens.sum()
    spread = math.sqrt(((extra - ratio * tokens) ** 2).mean() / 400) / tokens.mean()  # of a ratio, to first order
    low, high = bootstrap_ratio(extra, tokens)
    assert (low, high) == pytest.approx((ratio - 1.96 * spread, ratio + 1.96 * spread), abs=0.15 * spread)
