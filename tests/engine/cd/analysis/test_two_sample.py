"""Two-sample tests in embedding space: their numbers, that p-values keep their promise, and that they find what is there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression

from engine.cd.analysis.exchange import Exchange, of_two_sets
from engine.cd.analysis.two_sample import TwoSample, c2st, energy, mmd
from engine.errors import InputError

TESTS = ("mmd", "energy", "c2st")


def run(
    test: str, vectors: np.ndarray, first: np.ndarray, prompts: list[str], unit="prompt", draws: int = 99, seed=0
) -> TwoSample:
    exchange = of_two_sets(prompts, first, unit)
    vectors = vectors.astype(np.float32)
    if test == "c2st":
        return c2st(vectors, first, exchange, np.unique(prompts, return_inverse=True)[1], draws, seed)
    return (mmd if test == "mmd" else energy)(vectors, first, exchange, draws, seed)


def answered(generator: np.random.Generator, prompts: int, shift: float = 0.0, width: int = 6, spread: float = 1.0):
    """Two texts of either set for every prompt; what a prompt's texts have in common is `spread` large."""
    names = [f"p{number}" for number in range(prompts) for _ in range(4)]
    first = np.array([True, True, False, False] * prompts)
    common = np.repeat(generator.normal(0, spread, (prompts, width)), 4, axis=0)
    vectors = common + generator.normal(0, 1, (4 * prompts, width))
    vectors[first, 0] += shift
    return vectors, first, names


def test_energy_and_mmd_are_what_their_formulas_say():
    generator = np.random.default_rng(0)
    vectors = generator.normal(0, 1, (7, 3)).astype(np.float32)
    first = np.array([True, False, True, True, False, False, False])
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    x, y = np.flatnonzero(first), np.flatnonzero(~first)
    prompts = [str(number) for number in range(7)]
    across, within, beyond = distances[np.ix_(x, y)], distances[np.ix_(x, x)], distances[np.ix_(y, y)]
    assert run("energy", vectors, first, prompts).statistic == pytest.approx(
        2 * across.mean() - within.mean() - beyond.mean(), abs=1e-5
    )
    width = np.median(distances[np.triu_indices(7, 1)])
    kernel = [np.exp(-(part**2) / (2 * width**2)) for part in (across, within, beyond)]
    expected = (kernel[1].sum() - 3) / 6 + (kernel[2].sum() - 4) / 12 - 2 * kernel[0].mean()
    assert run("mmd", vectors, first, prompts).statistic == pytest.approx(expected, abs=1e-5)


def test_the_classifier_is_a_logistic_regression_that_never_saw_what_it_is_tested_on():
    vectors, first, prompts = answered(np.random.default_rng(1), 20, shift=1.5)
    found = run("c2st", vectors, first, prompts)
    # the same by scikit-learn: its features are only turned and scaled, which a ridge on the same scale does not see
    centred = vectors - vectors.mean(0)
    scaled = centred / np.linalg.svd(centred, compute_uv=False)[0] * math.sqrt(len(centred))
    order = np.random.default_rng(0).permutation(20)
    units = np.unique(prompts, return_inverse=True)[1]
    scores = np.empty(len(first))
    for fold in range(5):
        held = (order % 5)[units] == fold
        scores[held] = LogisticRegression(tol=1e-10).fit(scaled[~held], first[~held]).decision_function(scaled[held])
    pairs = scores[first][:, None] - scores[~first][None]
    assert found.statistic == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean(), abs=2e-3)
    assert found.accuracy == pytest.approx(((scores > 0) == first).mean(), abs=0.02)
    assert found.statistic > 0.7


@pytest.mark.parametrize("test", TESTS)
def test_a_planted_difference_is_found(test):
    found = [run(test, *answered(np.random.default_rng(seed), 30, shift=1.5), seed=seed).p <= 0.05 for seed in range(12)]
    assert sum(found) >= 11


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("unit", ["prompt", "text"])
def test_without_a_difference_p_values_are_uniform(test, unit):
    found = [run(test, *answered(np.random.default_rng(seed), 15), unit=unit, seed=seed).p for seed in range(300)]
    assert kstest(found, "uniform").pvalue > 0.001
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("test", TESTS)
def test_power_is_above_nine_tenths_under_a_planted_difference(test):
    found = [run(test, *answered(np.random.default_rng(seed), 40, shift=1.5), seed=seed).p <= 0.05 for seed in range(100)]
    assert np.mean(found) > 0.9


def test_prompts_of_one_set_only_change_sides_as_a_whole():
    """Texts of a prompt are alike: were they permuted one by one, two sets of prompts would differ though nothing tells the
    models apart."""
    rejected = {"prompt": 0, "text": 0}
    for seed in range(40):
        generator = np.random.default_rng(seed)
        names = [f"p{number}" for number in range(12) for _ in range(4)]
        first = np.array([True] * 24 + [False] * 24)
        vectors = np.repeat(generator.normal(0, 2, (12, 4)), 4, axis=0) + generator.normal(0, 0.5, (48, 4))
        for unit in ("prompt", "text"):
            rejected[unit] += run("energy", vectors, first, names, unit, seed=seed).p <= 0.05
    assert rejected["prompt"] <= 7
    assert rejected["text"] >= 25


@pytest.mark.parametrize("test", TESTS)
def test_texts_that_are_all_the_same_tell_nothing(test):
    first = np.array([True, False] * 4)
    found = run(test, np.ones((8, 3)), first, [f"p{number // 2}" for number in range(8)])
    assert found.p == 1.0
    assert math.isfinite(found.statistic)


def test_the_same_seed_gives_the_same_p():
    data = answered(np.random.default_rng(5), 10, 0.4)
    for test in TESTS:
        assert run(test, *data) == run(test, *data)


def test_too_few_texts_are_refused():
    first = np.array([True, False, False])
    with pytest.raises(InputError, match="2 texts of either set, not 1 and 2"):
        run("energy", np.eye(3), first, ["a", "b", "c"])
    with pytest.raises(InputError, match="2 prompts"):
        c2st(np.eye(4, dtype=np.float32), np.array([True, False] * 2), Exchange((), 4), np.zeros(4, dtype=np.intp))
