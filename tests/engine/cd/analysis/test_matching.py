"""Pairs of clusters of two sets: parity numbers and the regions that come of them (spec §6.4, 8.6)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cd.analysis.clusters import OUTSIDE, Clusters
from engine.cd.analysis.matching import Match, common_regions, match


def vectors(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32)


def clusters(centroids: np.ndarray, reach: float = np.inf) -> Clusters:
    return Clusters(centroids, np.full(len(centroids), reach))


FIRST, SECOND = vectors((0, 0), (10, 0)), vectors((9, 1), (1, 1), (20, 20))


def test_parity_of_the_pairs():
    assert match(FIRST, SECOND) == [Match(0, 1, 2.0), Match(1, 0, 2.0), Match(None, 2, None)]


def test_the_set_with_more_clusters_may_be_the_first():
    assert match(SECOND, FIRST) == [Match(0, 1, 2.0), Match(1, 0, 2.0), Match(2, None, None)]


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=6, max_size=6))
def test_no_other_pairing_is_nearer(points):
    first, second = vectors(*points[:3]), vectors(*points[3:])
    best = min(sum(((first - second[list(order)]) ** 2).sum(1)) for order in itertools.permutations(range(3)))
    assert sum(pair.distance or 0.0 for pair in match(first, second)) == pytest.approx(best)


def test_a_region_lies_around_the_middle_of_its_pair():
    regions = common_regions(clusters(FIRST), clusters(SECOND), match(FIRST, SECOND))
    assert regions.centroids.tolist() == [[0.5, 0.5], [9.5, 0.5], [20, 20]]
    assert regions.deal(vectors((1, 0), (8, 3), (100, 90))).tolist() == [0, 1, 2]


def test_a_region_reaches_as_far_as_the_clusters_that_it_is_made_of():
    first, second = clusters(vectors((0, 0)), 1.0), clusters(vectors((4, 0)), 2.0)
    regions = common_regions(first, second, match(first.centroids, second.centroids))
    assert regions.deal(vectors((6, 0), (-2, 0), (6.1, 0))).tolist() == [0, 0, OUTSIDE]


def test_a_set_without_clusters_leaves_those_of_the_other():
    nothing = Clusters(np.empty((0, 2), np.float32), np.empty(0))
    pairs = match(FIRST, nothing.centroids)
    assert pairs == [Match(0, None, None), Match(1, None, None)]
    assert len(common_regions(clusters(FIRST), nothing, pairs)) == 2
