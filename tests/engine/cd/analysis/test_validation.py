"""A statistic, its permutation p-value over texts and its interval: parity numbers, nulls and power (spec §6.5, 7.14, 8.6)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from engine.cd.analysis.exchange import Unit, of_one_set, of_two_sets
from engine.cd.analysis.validation import Cases, discrimination, validate

SCORES = np.array([0.9, 0.6, 0.5, 0.3, 0.2, 0.7])
LABELS = np.array([1, 1, 1, 0, 0, 0], dtype=bool)


def texts_of(prompts: int, samples: int, sets: int = 2) -> tuple[list[str], np.ndarray]:
    """The prompt of each text, and whether it is of the first set."""
    names = [f"p{prompt}" for _ in range(sets) for prompt in range(prompts) for _ in range(samples)]
    return names, np.arange(len(names)) < prompts * samples


def number(prompts: list[str]) -> np.ndarray:
    return np.unique(prompts, return_inverse=True)[1]


@pytest.mark.parametrize(("metric", "expected"), [("acc", 4 / 6), ("auc", 7 / 9)])
def test_parity_of_the_metrics(metric, expected):
    assert discrimination(SCORES, LABELS, ~LABELS, metric) == pytest.approx(expected)


def test_without_texts_of_a_group_the_auc_says_nothing():
    assert np.isnan(discrimination(SCORES, np.ones(6), np.zeros(6), "auc"))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(lambda x: len({b for _, b in x}) == 2)
)
def test_the_auc_is_that_of_scikit_learn_also_with_ties(cases):
    scores, labels = np.array([score for score, _ in cases]) / 5, np.array([label for _, label in cases])
    assert discrimination(scores, labels, ~labels, "auc") == pytest.approx(roc_auc_score(labels, scores))


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_weight_is_a_text_that_is_there_so_many_times(weights):
    counts = np.array(weights)
    repeated = np.repeat(np.arange(6), counts)
    for metric in ("acc", "auc"):
        weighted = discrimination(SCORES, counts * LABELS, counts * ~LABELS, metric)
        told = discrimination(SCORES[repeated], LABELS[repeated], ~LABELS[repeated], metric) if len(repeated) else np.nan
        assert weighted == pytest.approx(told, nan_ok=True)


def test_the_p_value_is_that_of_all_rearrangements():
    """Five prompts of one text on either side: 32 ways to change sides, each as likely."""
    prompts, first = texts_of(5, 1)
    scores = np.array([0.9, 0.8, 0.4, 0.6, 0.7, 0.1, 0.5, 0.3, 0.6, 0.2])
    cases = Cases(scores, np.arange(10))
    observed = float(discrimination(scores, first, ~first, "auc"))
    as_high = 0
    for flips in itertools.product((False, True), repeat=5):
        side = first ^ np.tile(flips, 2)
        as_high += discrimination(scores, side, ~side, "auc") >= observed - 1e-12
    found = validate(cases, first, number(prompts), of_two_sets(prompts, first, "prompt"), "auc", 20_000, 0)
    assert found.p == pytest.approx(as_high / 32, abs=0.01)
    assert found.score == observed


def test_a_p_value_is_never_0_and_ties_count_for_the_null():
    prompts, first = texts_of(30, 2)
    exchange = of_two_sets(prompts, first, "prompt")
    apart = validate(Cases(first.astype(float), np.arange(len(first))), first, number(prompts), exchange, "auc", 99, 0)
    assert (apart.score, apart.p) == (1.0, 0.01)
    alike = validate(Cases(np.full(len(first), 0.5), np.arange(len(first))), first, number(prompts), exchange, "auc", 99, 0)
    assert (alike.score, alike.p) == (0.5, 1.0)


def test_a_rearrangement_that_leaves_a_group_without_texts_tells_nothing():
    """Two of four texts were judged, one of either set; half of the rearrangements put both in one set."""
    prompts, first = texts_of(2, 1)
    cases = Cases(np.array([0.5, 0.5]), np.array([0, 3]))
    assert validate(cases, first, number(prompts), of_two_sets(prompts, first, "prompt"), "auc", 199, 0).p == 1.0


def test_two_texts_of_every_prompt_are_not_twice_the_evidence():
    """Clusters that follow prompts: with texts as units the p-value would be as if each were independent."""
    generator = np.random.default_rng(0)
    prompts, _ = texts_of(12, 20, sets=1)
    rejected: dict[Unit, int] = {"prompt": 0, "text": 0}
    for trial in range(60):
        traits, inside = generator.random(12), generator.permutation(12) < 4
        scores, cluster = np.repeat(traits, 20) + generator.normal(0, 0.05, 240), np.repeat(inside, 20)
        for unit in rejected:
            exchange = of_one_set(prompts, unit)
            found = validate(Cases(scores, np.arange(240)), cluster, number(prompts), exchange, "auc", 199, trial)
            rejected[unit] += found.p <= 0.05
    assert rejected["prompt"] <= 8
    assert rejected["text"] >= 18


@pytest.mark.parametrize("unit", ["prompt", "text"])
@pytest.mark.parametrize("metric", ["auc", "acc"])
def test_p_values_are_uniform_when_nothing_is_planted(unit, metric):
    generator = np.random.default_rng(1)
    prompts, first = texts_of(20, 3)
    exchange, numbers = of_two_sets(prompts, first, unit), number(prompts)
    effects = generator.normal(0, 0.2, (200, 20))
    found = [
        validate(
            Cases(np.clip(0.5 + effects[trial][numbers] + generator.normal(0, 0.1, len(first)), 0, 1), np.arange(len(first))),
            first, numbers, exchange, metric, 199, trial,
        ).p
        for trial in range(200)
    ]  # fmt: skip
    # accuracies are few different numbers, so that ties make p-values larger than uniform ones, never smaller
    assert kstest(found, "uniform", alternative="greater" if metric == "acc" else "two-sided").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) <= 0.09


@pytest.mark.parametrize("unit", ["prompt", "text"])
def test_sets_that_share_their_random_draws_are_never_found_different_too_often(unit):
    """Cells of one seed: the texts of a prompt and a sample are drawn by the same numbers, so that they are alike. Where the
    models are the same, all of them are; where they are nearly, that makes the test more careful, never less."""
    generator = np.random.default_rng(5)
    prompts, first = texts_of(20, 3)
    exchange, numbers = of_two_sets(prompts, first, unit), number(prompts)
    for shared, most in ((1.0, 0.0), (0.8, 0.07)):
        small = 0
        for trial in range(200):
            one, other = generator.random((2, 60)) < 0.3
            same = generator.random(60) < shared
            scores = np.concatenate([one, np.where(same, one, other)]).astype(float)
            small += validate(Cases(scores, np.arange(120)), first, numbers, exchange, "auc", 199, trial).p <= 0.05
        assert small <= most * 200


def test_pairs_of_the_same_texts_do_not_make_p_values_small():
    """Head to head, every text in several pairs: a binomial over pairs would be far too sure (spec §7.14)."""
    generator = np.random.default_rng(2)
    prompts, first = texts_of(12, 4)
    exchange, numbers = of_two_sets(prompts, first, "prompt"), number(prompts)
    ones, others = np.flatnonzero(first), np.flatnonzero(~first)
    pairs = np.array([(one, other) for one in ones for other in others if numbers[one] == numbers[other]])
    pairs[::2] = pairs[::2, ::-1]
    small = 0
    for trial in range(120):
        strength = generator.normal(size=len(first)) + np.repeat(generator.normal(size=24), 4)
        won = (strength[pairs[:, 0]] > strength[pairs[:, 1]]).astype(float)
        small += validate(Cases(won, pairs[:, 0], pairs[:, 1]), first, numbers, exchange, "acc", 199, trial).p <= 0.05
    assert small <= 13


def test_power_exceeds_nine_tenths_when_a_difference_is_planted():
    generator = np.random.default_rng(3)
    prompts, first = texts_of(25, 2)
    exchange, numbers = of_two_sets(prompts, first, "prompt"), number(prompts)
    found = 0
    for trial in range(100):
        scores = (generator.random(len(first)) < np.where(first, 0.45, 0.1)).astype(float)
        found += validate(Cases(scores, np.arange(len(first))), first, numbers, exchange, "auc", 999, trial).p < 0.05
    assert found > 90


def test_intervals_draw_prompts_and_hold_the_score():
    generator = np.random.default_rng(4)
    prompts, first = texts_of(15, 6)
    numbers = number(prompts)
    scores = np.clip(0.5 + 0.2 * first + np.repeat(generator.normal(0, 0.3, 30), 6), 0, 1)
    found = validate(Cases(scores, np.arange(180)), first, numbers, of_two_sets(prompts, first, "prompt"), "auc", 99, 0)
    alone = validate(Cases(scores, np.arange(180)), first, np.arange(180), of_two_sets(prompts, first, "prompt"), "auc", 99, 0)
    assert found.low < found.score < found.high
    assert found.high - found.low > 1.5 * (alone.high - alone.low)
    assert (found.units, found.positives, found.negatives) == (15, 90, 90)


def test_rates_come_with_cohens_h_in_words():
    prompts, first = texts_of(10, 10)
    scores = np.concatenate([np.tile([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], 10), np.tile([1, 0], 50)]).astype(float)
    found = validate(Cases(scores, np.arange(200)), first, number(prompts), of_two_sets(prompts, first, "text"), "auc", 19, 0)
    assert (found.positive_rate, found.negative_rate) == (0.6, 0.5)
    assert (found.h, found.size) == (pytest.approx(0.2013579), "moderately")


@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from(["prompt", "text"]), st.integers(0, 99))
def test_a_rearrangement_moves_texts_and_loses_none(prompts, samples, unit, seed):
    names, first = texts_of(prompts, samples)
    names = [*names, "only here", "only there"]
    first = np.append(first, [True, False])
    for places in of_two_sets(names, first, unit).rearranged(np.random.default_rng(seed), 5):
        assert (np.sort(places, axis=1) == np.arange(len(names))).all()
        shared = np.array([names[place] for place in places[0]])[:-2] == np.array(names)[:-2]
        assert shared.all(), "a text of a prompt that both sets have went to another prompt"
        if unit == "prompt":
            sides = {(name, bool(was), bool(now)) for name, was, now in zip(names, first, first[places[0]], strict=True)}
            assert all((name, was, not now) not in sides for name, was, now in sides), "a prompt was torn apart"


def test_whole_prompts_cannot_change_sides_with_fewer_texts():
    with pytest.raises(ValueError, match="p0 has 2 texts on one side, 1 on the other"):
        of_two_sets(["p0", "p0", "p0"], np.array([True, True, False]), "prompt")


def test_prompts_pass_their_texts_groups_on_only_to_prompts_with_as_many_texts():
    names = ["a", "a", "b", "b", "c"]
    moved = next(of_one_set(names, "prompt").rearranged(np.random.default_rng(0), 50))
    assert {tuple(row) for row in moved} == {(0, 1, 2, 3, 4), (2, 3, 0, 1, 4)}
