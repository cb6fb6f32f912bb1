"""How large, and whether chance does it: known numbers, calibration under the null, power under a planted difference."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cd.pipeline.effects import amounts, groups, groups_p, paired_p, shares


def texts(*prompts):
    return [np.array(values, dtype=float) for values in prompts]


def exact_p(first, second) -> float:
    """Over every way to say who wrote which text of a prompt."""
    per_prompt = []
    for one, other in zip(first, second, strict=True):
        pool = [*one, *other]
        picks = itertools.combinations(range(len(pool)), len(one))
        per_prompt.append(
            [np.mean([pool[i] for i in pick]) - np.mean([pool[i] for i in range(len(pool)) if i not in pick]) for pick in picks]
        )
    observed = sum(a.mean() - b.mean() for a, b in zip(first, second, strict=True))
    sums = [sum(ways) for ways in itertools.product(*per_prompt)]
    return float(np.mean([value >= observed - 1e-9 for value in sums]))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (texts([1, 1, 0], [1, 0, 0]), texts([0, 0, 0], [0, 0, 1])),
        (texts([5, 6, 9], [2, 4, 4], [7, 1, 1]), texts([4, 3, 3], [4, 4, 2], [0, 3, 1])),
    ],
)
def test_shuffling_within_prompts_estimates_the_exact_p(first, second):
    assert paired_p(first, second, 19_999, 3) == pytest.approx(exact_p(first, second), abs=0.02)


def test_equal_texts_are_no_evidence():
    same = texts([1, 0, 1], [0, 0, 1])
    assert paired_p(texts([0, 0], [0, 0]), texts([0, 0], [0, 0]), 99, 0) == 1
    assert paired_p(same, same, 999, 0) > 0.5


def test_p_is_never_zero():
    certain = texts(*[[1] * 8] * 20), texts(*[[0] * 8] * 20)
    assert paired_p(*certain, permutations=99, seed=0) == pytest.approx(1 / 100)
    assert groups_p(np.arange(10.0) + 100, np.arange(10.0), 99, 0) == pytest.approx(1 / 100)


def test_differences_between_prompts_are_no_difference_between_models():
    """One prompt always, another never: which prompts show it says nothing about who wrote."""
    first, second = texts([1, 1, 1, 1], [0, 0, 0, 0]), texts([1, 1, 1, 1], [0, 0, 0, 0])
    assert paired_p(first, second, 199, 0) == 1


@pytest.mark.slow
def test_p_values_are_uniform_under_the_null_and_small_under_a_planted_difference():
    generator = np.random.default_rng(0)
    null, planted = [], []
    for number in range(400):
        rates = generator.uniform(0.1, 0.9, 12)  # prompts differ, models do not
        one, same = ([generator.binomial(1, rate, 8).astype(float) for rate in rates] for _ in range(2))
        other = [generator.binomial(1, rate * 0.4, 8).astype(float) for rate in rates]
        null.append(paired_p(one, same, 199, number))
        planted.append(paired_p(one, other, 199, number))
    for level in (0.05, 0.1, 0.25, 0.5):
        assert np.mean(np.array(null) <= level) <= level + 3 * math.sqrt(level * (1 - level) / 400)
    assert np.mean(np.array(planted) <= 0.05) > 0.9


def test_shares_have_the_specs_effect_size():
    """§8.6: Cohen's h of .6 against .5 is .2013579."""
    found = shares(texts([1, 1, 1, 0, 0], [1, 1, 1, 0, 0]), texts([1, 0], [1, 0]), seed=0)
    assert (found.first, found.second) == pytest.approx((0.6, 0.5))
    assert found.effect == pytest.approx(0.2013579, abs=1e-6)
    assert found.low < found.effect < found.high


def test_few_texts_without_the_property_do_not_refute_it():
    """No prompt drawn again would find any; the interval must be as wide as so few texts are."""
    found = shares(texts(*[[0, 0]] * 4), texts(*[[0, 0]] * 4), seed=0)
    assert found.effect == 0
    assert found.high == pytest.approx(1.96 * math.sqrt(2 / 8))


def test_amounts_and_groups_are_rank_correlations():
    assert amounts(texts([5, 6], [9, 9]), texts([1, 2], [8, 7]), 0).effect == 1
    assert amounts(texts([1, 2]), texts([1, 2]), 0).effect == 0
    found = groups(np.array([3.0, 4, 5, 6]), np.array([1.0, 2, 3, 4]), 0)
    assert found.effect == pytest.approx(12 / 16)  # 13 pairs above, 1 below, 2 equal
    assert -1 <= found.low < found.effect < found.high <= 1


values = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=4), min_size=4, max_size=6)


@settings(max_examples=30, deadline=None)
@given(values, values)
def test_effects_are_antisymmetric_and_inside_their_intervals(one, other):
    pairs = list(zip(one, other, strict=False))
    first, second = texts(*(a for a, _ in pairs)), texts(*(b for _, b in pairs))
    found, swapped = amounts(first, second, 1), amounts(second, first, 1)
    assert found.effect == pytest.approx(-swapped.effect)
    assert found.low <= found.effect <= found.high
    assert 0 < paired_p(first, second, 99, 0) <= 1
