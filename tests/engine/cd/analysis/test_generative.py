"""The generative check: parity of the statistics, honest p-values, the same wording for both sides (spec §6.5, 8.6, 7.14)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, pearsonr

from engine.cd.analysis.generative import Generated, association, association_p, requests

LABELS, SCORES = [0, 0, 0, 1, 1, 1], [-0.3, -0.1, 0.05, 0.2, 0.4, -0.05]


def test_parity_of_the_statistics():
    assert association(LABELS, SCORES) == pytest.approx(0.67269158)
    assert association(LABELS, SCORES, "auc") == pytest.approx(0.8888889)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=3, max_size=30))
def test_the_correlation_is_that_of_scipy_and_0_where_nothing_varies(pairs):
    labels, scores = [label for label, _ in pairs], [score / 2 for _, score in pairs]
    varies = len(set(labels)) > 1 and len(set(scores)) > 1
    assert association(labels, scores) == pytest.approx(pearsonr(labels, scores)[0] if varies else 0.0)


@pytest.mark.parametrize("statistic", ["pearson", "auc"])
def test_p_values_are_uniform_when_labels_tell_nothing(statistic):
    generator = np.random.default_rng(0)
    labels = [0] * 8 + [1] * 8
    found = [association_p(labels, generator.normal(size=16).tolist(), 199, trial, statistic) for trial in range(150)]
    # both tails are counted, so that p-values come in steps of 2 / 200
    assert kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("sign", [1, -1])
def test_an_association_of_either_sign_is_found(sign):
    scores = [sign * (label + 0.01 * place) for place, label in enumerate([0] * 10 + [1] * 10)]
    assert association_p([0] * 10 + [1] * 10, scores, 999, 0) == pytest.approx(2 / 1000)


def test_both_sides_are_asked_for_in_the_same_words():
    asked = requests("The text is about rain", 3, 100, 1.0, 7)
    said = [request.chat[0].content for request in asked]
    assert len(set(said)) == 2
    assert said[0].replace("true", "false") == said[3]
    assert [request.seed for request in asked] == [7, 8, 9, 7, 8, 9]


@pytest.mark.parametrize(
    ("pearson", "adjusted", "expected", "confirmed"),
    [(0.5, 0.01, 0.2, True), (0.5, 0.01, -0.2, False), (0.5, 0.2, 0.2, False), (-0.5, 0.01, -0.2, True)],
)
def test_a_statement_is_confirmed_in_the_direction_in_which_the_texts_went(pearson, adjusted, expected, confirmed):
    assert Generated("s", "A over B", 20, pearson, 0.7, 0.01, adjusted, expected).confirms(0.05) == confirmed
