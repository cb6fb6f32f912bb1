"""Which prompts go on: the numbers of specs/contrastive_decoding.md §8.4, and what must hold of every bank."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cd.search.distances import Distances
from engine.cd.search.weighting import Weights, probabilities, rescale, subsample, worth

DIVERGENCES = np.array([1.0, 3.0, 2.0, 5.0])
CUSTOM = np.array([0.0, 1.0, 1.0, 0.0])
VECTORS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])
NAMES = ("a", "b", "c", "d")


def distances(vectors) -> Distances:
    made = Distances()
    made.add(np.asarray(vectors))
    return made


def test_rescaling_of_8_4():
    assert rescale(DIVERGENCES, 10) == pytest.approx([0, 5, 2.5, 10])
    assert rescale(np.full(3, 7.0), 10).tolist() == [0, 0, 0]
    assert rescale(np.zeros(0), 10).tolist() == []


def test_diversity_of_8_4():
    found = distances(VECTORS).diversity()
    assert found == pytest.approx([2.352941, 2.394034, 3.266470, 5.706485], abs=1e-6)
    assert rescale(found) == pytest.approx([0, 0.012253, 0.272407, 1], abs=1e-6)


@pytest.mark.parametrize(
    ("weights", "low", "expected"),
    [
        (Weights(1, 0, 1), False, [0.085149, 0.142117, 0.143567, 0.629167]),
        (Weights(1, 1, 1), False, [0.057113, 0.259117, 0.261761, 0.422009]),
        (Weights(1, 0, 0), False, [0.078394, 0.213097, 0.129250, 0.579259]),
        (Weights(1, 0, 1), True, [0.429633, 0.257412, 0.254811, 0.058144]),
    ],
)
def test_probabilities_of_8_4(weights, low, expected):
    worths = worth(DIVERGENCES, CUSTOM, distances(VECTORS).diversity(), weights)
    assert probabilities(worths, 0.5, low) == pytest.approx(expected, abs=1e-6)


def test_equal_diversity_is_worth_nothing_instead_of_not_a_number():
    corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    worths = worth(DIVERGENCES, CUSTOM, distances(corners).diversity(), Weights(1, 0, 1))
    assert worths == pytest.approx([0, 0.5, 0.25, 1], abs=1e-6)


def test_all_weights_zero_draws_uniformly():
    worths = worth(DIVERGENCES, CUSTOM, distances(VECTORS).diversity(), Weights(0, 0, 0))
    assert probabilities(worths, 0.5) == pytest.approx([0.25] * 4)


@given(st.lists(st.lists(st.integers(-50, 50), min_size=3, max_size=3), min_size=1, max_size=12), st.data())
def test_distances_kept_up_to_date_are_those_computed_at_once(vectors, data):
    cut = data.draw(st.integers(0, len(vectors)))
    grown = distances(vectors[:cut]) if cut else Distances()
    for vector in vectors[cut:]:
        grown.add(np.array([vector]))
    matrix = np.linalg.norm(np.array(vectors)[:, None] - np.array(vectors)[None], axis=-1)
    inverse = 1 / (matrix + 1e-8)
    np.fill_diagonal(inverse, 0)
    expected = len(vectors) / inverse.sum(1) if len(vectors) > 1 else np.zeros(1)
    assert grown.diversity() == pytest.approx(expected, rel=1e-9)


def test_temperature_zero_takes_the_first():
    worths = np.array([0.1, 0.9, 0.5, 0.9])
    assert subsample(NAMES, worths, 3, 0.0, False, [0]) == [1, 3, 2]
    assert subsample(NAMES, worths, 2, 0.0, True, [0]) == [0, 2]


def test_an_empty_bank_gives_nothing():
    assert subsample((), np.zeros(0), 3, 0.5, False, [0]) == []


def test_more_than_there_are_gives_all():
    assert sorted(subsample(NAMES, np.zeros(4), 10, 0.5, False, [0])) == [0, 1, 2, 3]


def test_a_draw_depends_on_the_prompt_not_on_its_place():
    worths = np.array([0.0, 0.3, 0.6, 1.0])
    order = [2, 0, 3, 1]
    for seed in range(20):
        plain = [NAMES[i] for i in subsample(NAMES, worths, 2, 0.5, False, [seed])]
        names = [NAMES[i] for i in order]
        moved = [names[i] for i in subsample(names, worths[order], 2, 0.5, False, [seed])]
        assert plain == moved


def test_draws_follow_the_probabilities():
    worths = worth(DIVERGENCES, CUSTOM, distances(VECTORS).diversity(), Weights(1, 0, 1))
    expected = probabilities(worths, 0.5)
    pairs = [subsample(NAMES, worths, 2, 0.5, False, ["draws", seed]) for seed in range(4000)]
    first = Counter(pair[0] for pair in pairs)
    assert np.array([first[i] for i in range(4)]) / 4000 == pytest.approx(expected, abs=0.03)  # 4 standard errors
    second = Counter(pair[1] for pair in pairs if pair[0] == 3)
    left = expected[:3] / expected[:3].sum()
    assert np.array([second[i] for i in range(3)]) / first[3] == pytest.approx(left, abs=0.04)
