"""Which cluster of one set corresponds to which of another (specs/contrastive_decoding.md §6.4).

Owns the pairing and the common regions that come of it. Two sets are grouped each on its own, so the same texts may be cut
differently; whoever compares the sets therefore deals texts of both by one rule: the nearest middle of a pair of centroids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.cd.analysis.clusters import Clusters, Vectors


@dataclass(frozen=True, slots=True)
class Match:
    """A cluster of the first set and one of the second; None: the other set has none for it. distance: squared Euclidean,
    between the centroids."""

    first: int | None
    second: int | None
    distance: float | None


def match(first: Vectors, second: Vectors) -> list[Match]:
    """One-to-one pairs of centroids with the least sum of squared distances (Hungarian), then the clusters left over.

    first: [clusters, width], second likewise.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    distances = cdist(first, second, "sqeuclidean")
    rows, columns = (part.tolist() for part in linear_sum_assignment(distances))
    pairs = [Match(row, column, float(distances[row, column])) for row, column in zip(rows, columns, strict=True)]
    left = [Match(row, None, None) for row in range(len(first)) if row not in rows]
    return [*pairs, *left, *(Match(None, column, None) for column in range(len(second)) if column not in columns)]


def common_regions(first: Clusters, second: Clusters, matches: list[Match]) -> Clusters:
    """One region for each match, in order: around the middle of its centroids, as far as the wider of the two reaches."""
    centroids, reach = [], []
    for pair in matches:
        parts = [(clusters, at) for clusters, at in ((first, pair.first), (second, pair.second)) if at is not None]
        middle = np.mean([clusters.centroids[at] for clusters, at in parts], axis=0)
        offsets = [clusters.reach[at] + np.linalg.norm(middle - clusters.centroids[at]) for clusters, at in parts]
        centroids.append(middle)
        reach.append(max(offsets))
    return Clusters(np.array(centroids, np.float32), np.array(reach))
