"""Regions: the clusters of one set, or what matched clusters of two sets have in common, with what is said of each.

Owns finding them on the texts that are not tested on, dealing all texts out, and how they are told: by mean divergence, with
their most central texts and those at either end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.clusters import Clusters, Vectors, find_clusters, most_central
from engine.cd.analysis.comparisons import size_fault
from engine.cd.analysis.matching import common_regions, match
from engine.cd.analysis.settings import GroupingSettings
from engine.cd.analysis.texts import Texts


@dataclass(frozen=True, slots=True)
class Region:
    """sizes: texts of each set in it. divergences: their means, None without any. own_sizes: of two sets, the sizes of the
    matched clusters in their own sets, None where a set has none; distance: squared, between their centroids. central, low,
    high: ids of texts. reason: why it is not labelled."""

    name: str
    sizes: tuple[int, ...]
    divergences: tuple[float | None, ...]
    own_sizes: tuple[int | None, ...]
    distance: float | None
    central: tuple[str, ...]
    low: tuple[str, ...]
    high: tuple[str, ...]
    reason: str | None


def find_regions(
    texts: Texts, embeddings: Vectors, settings: GroupingSettings, seed: int, shown: int
) -> tuple[list[Region], NDArray[np.intp]]:
    """The regions, the one that diverges most first, and the region of each text: [texts]. embeddings: [texts, width]."""
    clusters, facts = _of_two(texts, embeddings, settings, seed) if texts.paired else _of_one(texts, embeddings, settings, seed)
    dealt = clusters.deal(embeddings)
    divergences = np.array([text.divergence for text in texts.all])
    means = [_mean(divergences[dealt == at]) for at in range(len(clusters))]
    order = sorted(range(len(clusters)), key=lambda at: (means[at] is None, -(means[at] or 0.0)))
    regions = [
        _region(f"region {rank}" if texts.paired else f"cluster {rank}", texts, embeddings, divergences, dealt == at,
                clusters.centroids[at], facts[at], settings, shown)
        for rank, at in enumerate(order, 1)
    ]  # fmt: skip
    ranks = np.append(np.argsort(order), -1).astype(np.intp)  # OUTSIDE stays OUTSIDE
    return regions, ranks[dealt]


_Facts = tuple[tuple[int | None, ...], float | None]


def _of_one(texts: Texts, embeddings: Vectors, settings: GroupingSettings, seed: int) -> tuple[Clusters, list[_Facts]]:
    clusters = _found(embeddings[texts.part("label", "select")], settings, seed)
    return clusters, [((), None)] * len(clusters)


def _of_two(texts: Texts, embeddings: Vectors, settings: GroupingSettings, seed: int) -> tuple[Clusters, list[_Facts]]:
    seen = texts.part("label", "select")
    first = _found(embeddings[seen & texts.first], settings, seed)
    start = first.centroids if settings.same_start else None
    second = _found(embeddings[seen & ~texts.first], settings, seed, start)
    pairs = match(first.centroids, second.centroids)
    own = [np.bincount(first.deal(embeddings[texts.first]) + 1, minlength=len(first) + 1)[1:],
           np.bincount(second.deal(embeddings[~texts.first]) + 1, minlength=len(second) + 1)[1:]]  # fmt: skip
    facts: list[_Facts] = [
        (tuple(None if at is None else int(sizes[at]) for at, sizes in zip((pair.first, pair.second), own, strict=True)),
         pair.distance)
        for pair in pairs
    ]  # fmt: skip
    return common_regions(first, second, pairs), facts


def _found(embeddings: Vectors, settings: GroupingSettings, seed: int, start: Vectors | None = None) -> Clusters:
    smallest, largest = settings.min_cluster_size, settings.max_cluster_size
    return find_clusters(embeddings, settings.method, settings.clusters, smallest, largest, seed, start)


def _region(
    name: str, texts: Texts, embeddings: Vectors, divergences: NDArray[np.float64], inside: NDArray[np.bool_],
    centroid: Vectors, facts: _Facts, settings: GroupingSettings, shown: int,
) -> Region:  # fmt: skip
    members = np.flatnonzero(inside)
    sets = [texts.first, ~texts.first] if texts.paired else [texts.first]
    measured = members[np.isfinite(divergences[members])]
    ranked = measured[np.argsort(divergences[measured], kind="stable")]
    return Region(
        name,
        tuple(int((inside & own).sum()) for own in sets),
        tuple(_mean(divergences[inside & own]) for own in sets),
        *facts,
        central=_ids(texts, most_central(embeddings, members, centroid, shown)),
        low=_ids(texts, ranked[:shown]),
        high=_ids(texts, ranked[::-1][:shown]),
        reason=size_fault(len(members), settings.min_cluster_size, settings.max_cluster_size),
    )


def _ids(texts: Texts, positions: Sequence[int] | NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(texts.all[int(at)].id for at in positions)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
