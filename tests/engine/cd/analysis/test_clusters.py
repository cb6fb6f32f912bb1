"""Clusters of embeddings and the rule that deals texts out (spec §6.4)."""

from __future__ import annotations

import numpy as np
import pytest

from engine.cd.analysis.clusters import OUTSIDE, Clusters, find_clusters, most_central, plane
from engine.cd.analysis.regions import find_regions
from engine.cd.analysis.settings import AnalyseSettings
from engine.cd.analysis.texts import PARTS, AnalysedText, Texts, balanced, deal, parts_of

CENTRES = np.array([[0, 0], [10, 0], [0, 10]], np.float32)


def clouds(each: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around each centre, and which one each is of."""
    own = np.repeat(np.arange(3), each)
    return (CENTRES[own] + np.random.default_rng(seed).normal(0, 0.5, (len(own), 2))).astype(np.float32), own


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) - {OUTSIDE}}


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
def test_clouds_are_clusters(method):
    points, own = clouds()
    found = find_clusters(points, method, 3, 7, None, 0)
    assert as_sets(found.deal(points)) == as_sets(own)


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
def test_the_same_seed_finds_the_same_clusters(method):
    points = np.random.default_rng(1).normal(size=(80, 3)).astype(np.float32)
    one, other = (find_clusters(points, method, 5, 5, None, 7) for _ in range(2))
    assert np.array_equal(one.centroids, other.centroids)


def test_hdbscan_leaves_out_what_lies_far_from_all():
    points, _ = clouds()
    found = find_clusters(points, "hdbscan", 3, 7, None, 0)
    assert found.deal(np.array([[50, 50], [0.1, 0]], np.float32))[0] == OUTSIDE
    assert found.deal(np.array([[50, 50], [0.1, 0]], np.float32))[1] != OUTSIDE


def test_hdbscan_may_find_nothing():
    few = find_clusters(np.ones((3, 4), np.float32), "hdbscan", 3, 7, None, 0)
    assert (len(few), few.deal(np.ones((2, 4), np.float32)).tolist()) == (0, [OUTSIDE, OUTSIDE])


def test_hdbscan_splits_what_is_larger_than_allowed():
    points, _ = clouds(each=60)
    sizes = np.bincount(find_clusters(points, "hdbscan", 3, 5, 50, 0).deal(points) + 1)[1:]
    assert sizes.max(initial=0) < 60


def test_there_are_no_more_clusters_than_different_texts():
    points = np.repeat(CENTRES, 10, axis=0)
    assert len(find_clusters(points, "kmeans", 8, 7, None, 0)) == 3


def test_k_means_may_begin_with_the_centroids_of_another_set():
    points, own = clouds(seed=1)
    found = find_clusters(points, "kmeans", 3, 7, None, 0, start=CENTRES[::-1].copy())
    assert (found.deal(points) == 2 - own).all(), "clusters keep the order of the centroids that they began with"


def test_the_most_central_come_first():
    points = np.array([[0, 3], [0, 1], [0, 2], [9, 9]], np.float32)
    assert most_central(points, np.array([0, 1, 2]), np.zeros(2, np.float32), 2) == [1, 2]


@pytest.mark.parametrize(("method", "count"), [("pca", 30), ("tsne", 30), ("tsne", 2), ("pca", 1)])
def test_every_text_has_a_place_on_the_map(method, count):
    assert plane(np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32), 0, method).shape == (count, 2)


def text(prompt: int, sample: int = 0, of: int = 0, divergence: float = 0.0) -> AnalysedText:
    return AnalysedText(f"{of}:{prompt}:{sample}", f"p{prompt}", "", sample, f"text {prompt}", divergence, 0.0, of)


def test_all_texts_of_a_prompt_are_in_one_part_whichever_set_they_are_of():
    texts = deal(("A", "B"), [text(prompt, sample, of) for of in (0, 1) for prompt in range(60) for sample in range(3)],
                 "prompt", None, 0.3, 0.2, 0)  # fmt: skip
    parts = {(one.prompt_id, str(part)) for one, part in zip(texts.all, texts.parts, strict=True)}
    assert len(parts) == 60
    assert {part for _, part in parts} == {"label", "select", "test"}


@pytest.mark.parametrize(("count", "sizes"), [(40, [12, 8, 20]), (10, [3, 2, 5]), (6, [2, 1, 3]), (3, [1, 1, 1])])
def test_parts_are_as_large_as_asked_for(count, sizes):
    parts = list(parts_of([f"p{number}" for number in range(count)], 0.3, 0.2, 0).values())
    assert [parts.count(part) for part in PARTS] == sizes


def test_parts_do_not_depend_on_the_order_of_prompts_and_change_with_the_seed():
    names = [f"p{number}" for number in range(30)]
    assert parts_of(names, 0.3, 0.2, 0) == parts_of(names[::-1], 0.3, 0.2, 0)
    assert parts_of(names, 0.3, 0.2, 0) != parts_of(names, 0.3, 0.2, 1)


def test_sets_are_compared_with_as_many_texts_of_each_prompt():
    one = {"p0": [text(0, sample) for sample in range(3)], "p1": [text(1)], "p2": [text(2)]}
    other = {"p0": [text(0, 0, 1)], "p1": [text(1, sample, 1) for sample in range(2)]}
    kept, left = balanced([one, other])
    assert ([each.id for each in kept], left) == (["0:0:0", "0:1:0", "0:2:0", "1:0:0", "1:1:0"], 3)


def regions_of(texts: Texts, points: np.ndarray, **options):
    return find_regions(texts, points, AnalyseSettings(cell="a", **options), 0, 2)


def test_clusters_are_told_by_mean_divergence_and_small_ones_are_named():
    points, own = clouds(each=30)
    points = np.concatenate([points, [[40, 40]] * 3]).astype(np.float32)
    cloud = np.append(own, [3, 3, 3])
    found = [text(prompt, divergence=float(cloud[prompt])) for prompt in range(len(points))]
    texts = Texts(("A",), tuple(found), np.array(["label"] * len(found)), "prompt")
    regions, dealt = regions_of(texts, points, clusters=4)
    assert [region.divergences[0] for region in regions] == [3, 2, 1, 0]
    assert [region.name for region in regions] == ["cluster 1", "cluster 2", "cluster 3", "cluster 4"]
    assert (3 - dealt == cloud).all()
    assert [region.reason for region in regions] == ["3 texts, --min-cluster-size is 7", None, None, None]


def test_texts_that_are_tested_on_do_not_shape_the_clusters():
    points, own = clouds(each=30)
    found = [text(prompt) for prompt in range(90)]
    parts = np.array(["test" if cloud == 2 else "label" for cloud in own])
    _, dealt = regions_of(Texts(("A",), tuple(found), parts, "prompt"), points, clusters=2)
    assert len(set(dealt[own != 2].tolist())) == 2
    assert set(dealt[own == 2].tolist()) <= set(dealt[own != 2].tolist())


def test_matched_clusters_tell_both_sets_sizes():
    points, own = clouds(each=20)
    found = [text(prompt, of=of, divergence=own[prompt] + of) for of in (0, 1) for prompt in range(60)]
    texts = Texts(("A", "B"), tuple(found), np.array(["label"] * 120), "prompt")
    regions, _ = regions_of(texts, np.concatenate([points, points + np.float32(0.5)]), clusters=3)
    assert [(region.name, region.sizes, region.own_sizes) for region in regions] == [
        (f"region {number}", (20, 20), (20, 20)) for number in (1, 2, 3)
    ]
    assert [region.divergences for region in regions] == [(2, 3), (1, 2), (0, 1)]
    assert [region.distance for region in regions] == pytest.approx([0.5] * 3)


def test_a_cluster_of_nothing_deals_nothing():
    assert Clusters(CENTRES, np.full(3, np.inf)).deal(np.empty((0, 2), np.float32)).tolist() == []
