"""P-values, corrections and effect sizes: the numbers of spec §8.6, and that they promise no more than they keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu

from engine.significance import (
    Lond,
    accuracy,
    auc,
    benjamini_hochberg,
    binomial_tail,
    cliffs_delta,
    cohens_h,
    cohens_h_words,
    legacy_saffron,
    normal_tail,
    permutation_p,
)
from engine.statistics import bootstrap, bootstrap_difference

NULL = [0.4, 0.5, 0.5, 0.55, 0.6, 0.45, 0.52, 0.48]
SHARES = st.floats(0, 1)
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def test_a_permutation_p_counts_ties_and_is_never_zero():
    assert permutation_p(NULL, 0.55) == pytest.approx(3 / 9)  # published: 1/8, strictly above and without the 1
    assert permutation_p(NULL, 0.55, "less") == pytest.approx(8 / 9)
    assert permutation_p(NULL, 0.7) == pytest.approx(1 / 9)
    assert permutation_p([0.1] * 99, 0.1 + 1e-17) == 1.0
    assert permutation_p([0.1 + 0.2] * 99, 0.3) == 1.0  # equal but for rounding


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 5))
def test_tails_mirror_each_other_and_two_sides_are_twice_the_smaller(null, score):
    greater = permutation_p(null, score)
    less = permutation_p([-value for value in null], -score, "less")
    assert greater == less
    assert permutation_p(null, score, "two-sided") == min(1.0, 2 * min(greater, permutation_p(null, score, "less")))
    assert 0 < greater <= 1


def test_a_permutation_p_is_valid_for_exchangeable_scores():
    generator = np.random.default_rng(0)
    found = np.array([permutation_p(draw[1:], draw[0]) for draw in generator.integers(0, 8, (4000, 40))])
    for level in (0.05, 0.2, 0.5):
        assert (found <= level).mean() <= level + 3 * math.sqrt(level * (1 - level) / len(found))


@pytest.mark.parametrize(
    ("successes", "trials", "tail"), [(60, 100, 0.02844397), (69, 100, 9.157e-5), (12, 15, 0.01757813), (9, 15, 0.30361938)]
)
def test_binomial_tails(successes, trials, tail):
    assert binomial_tail(successes, trials) == pytest.approx(tail, rel=1e-4)


def test_at_least_no_success_is_certain():
    assert binomial_tail(0, 10) == 1.0


def test_the_normal_approximation():
    assert normal_tail(0.7, 8) == pytest.approx(0.12894952, abs=1e-8)


@given(st.lists(SHARES, min_size=1, max_size=30))
def test_adjusted_p_values_are_those_of_benjamini_and_hochberg(p):
    order = sorted(range(len(p)), key=p.__getitem__, reverse=True)
    lowest, expected = 1.0, [0.0] * len(p)
    for rank, index in zip(range(len(p), 0, -1), order, strict=True):
        lowest = min(lowest, p[index] * len(p) / rank)
        expected[index] = lowest
    assert benjamini_hochberg(p) == pytest.approx(expected)
    assert benjamini_hochberg(p) == pytest.approx(list(false_discovery_control(p)))


def test_no_tests_need_no_correction():
    assert benjamini_hochberg([]) == []


def test_the_levels_of_lond_add_up_to_alpha_where_nothing_is_found():
    rule = Lond(0.05)
    levels = [rule.test(1.0).threshold for _ in range(2000)]
    assert 0.049 < sum(levels) + 0.05 * 2000**-0.6 / 0.6 / 2.2857657 < 0.0501  # and the tail of Σ i^-1.6
    assert levels == sorted(levels, reverse=True)


def test_every_rejection_raises_the_levels_that_follow():
    quiet, lucky = Lond(), Lond()
    for p in (0.001, 0.5, 0.001):
        lucky.test(p)
        quiet.test(1.0)
    assert lucky.threshold() == pytest.approx(3 * quiet.threshold())
    assert [decision.rejected for decision in lucky.decisions] == [True, False, True]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_lond_keeps_the_rate_of_false_discoveries_and_finds_what_is_there(share):
    generator = np.random.default_rng(1)
    rates, found, planted = [], 0, 0
    for _ in range(400):
        true = generator.random(60) < share
        p = np.where(true, generator.random(60) ** 40, generator.random(60))
        rule = Lond(0.1)
        rejected = np.array([rule.test(float(value)).rejected for value in p])
        rates.append((rejected & ~true).sum() / max(rejected.sum(), 1))
        found, planted = found + (rejected & true).sum(), planted + true.sum()
    assert np.mean(rates) <= 0.1 + 2 * np.std(rates) / math.sqrt(len(rates))
    assert share == 0.0 or found / planted > 0.8


def test_the_published_saffron_sequence():
    decisions = legacy_saffron([0.001, 0.2, 0.02, 0.005, 0.5, 0.0001])
    assert [decision.rejected for decision in decisions] == [True, False, False, True, False, True]
    expected = [0.025, 0.01875, 0.01875, 0.0125, 0.0166667, 0.0125]
    assert [decision.threshold for decision in decisions] == pytest.approx(expected, abs=1e-7)


def test_the_published_saffron_sequence_never_spends_its_wealth():
    assert legacy_saffron([0.0] * 200)[-1].threshold > 0.02  # after so many tests a level that controls anything is far lower


@pytest.mark.parametrize(
    ("first", "second", "h", "word"), [(0.6, 0.5, 0.2013579, "moderately"), (0.9, 0.5, 0.9272952, "dramatically")]
)
def test_cohens_h_and_its_words(first, second, h, word):
    assert cohens_h(first, second) == pytest.approx(h, abs=1e-7)
    assert cohens_h(second, first) == pytest.approx(-h, abs=1e-7)
    assert cohens_h_words(h) == cohens_h_words(-h) == word


def test_words_begin_at_their_limits():
    assert [cohens_h_words(h) for h in (0, 0.199, 0.2, 0.499, 0.5, 0.799, 0.8)] == [
        "slightly", "slightly", "moderately", "moderately", "substantially", "substantially", "dramatically",
    ]  # fmt: skip


@given(NUMBERS, NUMBERS)
def test_cliffs_delta_counts_pairs(first, second):
    pairs = [(a > b) - (a < b) for a in first for b in second]
    assert cliffs_delta(first, second) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert cliffs_delta(second, first) == pytest.approx(-cliffs_delta(first, second), abs=1e-12)


def test_cliffs_delta_belongs_to_the_u_of_mann_and_whitney():
    first, second = [1.0, 4.0, 2.0, 7.0], [3.0, 0.0, 2.0]
    assert cliffs_delta(first, second) == pytest.approx(2 * mannwhitneyu(first, second).statistic / 12 - 1)


def test_a_guess_of_one_half_is_wrong_and_auc_counts_it_by_its_rank():
    scores, labels = [0.9, 0.6, 0.5, 0.3, 0.2, 0.7], [1, 1, 1, 0, 0, 0]
    assert accuracy(scores, labels) == pytest.approx(0.6667, abs=1e-4)
    assert auc(scores, labels) == pytest.approx(0.7778, abs=1e-4)
    assert accuracy([0.5, 0.5], [0, 1]) == 0.0
    assert auc([0.5, 0.5], [0, 1]) == 0.5
    assert math.isnan(auc([0.3, 0.6], [1, 1]))


def test_the_interval_of_a_difference_holds_it_as_often_as_it_says():
    generator = np.random.default_rng(2)
    hits = 0
    for seed in range(300):
        first, second = generator.normal(1.0, 1, 40), generator.normal(0.4, 2, 60)
        low, high = bootstrap_difference(first.tolist(), second.tolist(), seed)
        hits += low <= 0.6 <= high
    assert 0.9 <= hits / 300 <= 0.98


def test_against_a_constant_a_difference_is_as_sure_as_the_mean():
    first = [0.1, 0.5, 0.9, 0.2, 0.4]
    assert bootstrap_difference(first, [0.0]) == pytest.approx(bootstrap(first))
