"""Texts grouped by what they are about: k-means or HDBSCAN over their embeddings, and the rule that deals further texts out.

Owns the grouping (specs/contrastive_decoding.md §6.4). Clusters are found on some texts and are regions of the embedding space
afterwards: a text belongs to the nearest centroid, whoever wrote it, so that texts kept for tests do not shape what they test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["kmeans", "hdbscan"]
OUTSIDE = -1
"""Of a text that belongs to no cluster."""
_STARTS = 10  # of k-means; the best of them is kept
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Clusters:
    """centroids: [clusters, width]. reach: [clusters], how far from a centroid a text may lie; infinite for k-means."""

    centroids: Vectors
    reach: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centroids)

    def deal(self, embeddings: Vectors) -> NDArray[np.intp]:
        """The cluster of each text, [texts] for [texts, width]; OUTSIDE where the nearest is farther away than its reach."""
        if not len(self) or not len(embeddings):
            return np.full(len(embeddings), OUTSIDE)
        distances = _distances(embeddings, self.centroids)
        nearest = distances.argmin(axis=1)
        return np.where(distances.min(axis=1) <= self.reach[nearest], nearest, OUTSIDE)


def find_clusters(
    embeddings: Vectors,
    method: Method,
    count: int,
    smallest: int,
    largest: int | None,
    seed: int,
    start: Vectors | None = None,
) -> Clusters:
    """Clusters of embeddings: [texts, width]. k-means: `count` of them, or as many as there are different texts; `start`:
    centroids to begin with, [count, width]. HDBSCAN: as many as it finds of `smallest` to `largest` texts, possibly none.
    """
    if not len(embeddings):
        return _none(embeddings)
    if method == "hdbscan":
        return _by_density(embeddings, smallest, largest)
    from sklearn.cluster import KMeans

    different = len(np.unique(embeddings, axis=0))
    options: dict[str, Any] = {"n_clusters": min(count, different), "n_init": _STARTS, "random_state": seed}
    if start is not None and len(start) <= different:
        options |= {"n_clusters": len(start), "n_init": 1, "init": start}
    centroids = np.asarray(KMeans(**options).fit(embeddings).cluster_centers_, dtype=np.float32)
    return Clusters(centroids, np.full(len(centroids), np.inf))


def most_central(embeddings: Vectors, members: NDArray[np.intp], centroid: Vectors, count: int) -> list[int]:
    """The positions of the members nearest to the centroid, the nearest first; equally near ones in their order."""
    distances = _distances(embeddings[members], centroid[None])[:, 0]
    return [int(position) for position in members[np.argsort(distances, kind="stable")][:count]]


def plane(embeddings: Vectors, seed: int, method: Literal["pca", "tsne"] = "pca") -> NDArray[np.float64]:
    """The texts on a map, [texts, 2]: to look at, never as evidence (distances on it mean little)."""
    if len(embeddings) < 2:
        return np.zeros((len(embeddings), 2))
    width = min(2, *embeddings.shape)
    if method == "tsne" and len(embeddings) > 3:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(embeddings) - 1) / 3)
        return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(embeddings), dtype=float)
    from sklearn.decomposition import PCA

    flat = PCA(width, random_state=seed).fit_transform(embeddings)
    return np.pad(np.asarray(flat, dtype=float), ((0, 0), (0, 2 - width)))


def _by_density(embeddings: Vectors, smallest: int, largest: int | None) -> Clusters:
    from sklearn.cluster import HDBSCAN

    if len(embeddings) < max(smallest, 2):
        return _none(embeddings)
    options: dict[str, Any] = {"min_cluster_size": max(smallest, 2), "max_cluster_size": largest, "copy": True}
    found = HDBSCAN(**options).fit(embeddings).labels_
    centroids = np.array([embeddings[found == label].mean(axis=0) for label in range(found.max() + 1)], np.float32)
    centroids = centroids.reshape(-1, embeddings.shape[1])
    reach = [_distances(embeddings[found == label], centroids[label][None]).max() for label in range(len(centroids))]
    return Clusters(centroids, np.array(reach))


def _none(embeddings: Vectors) -> Clusters:
    return Clusters(np.empty((0, embeddings.shape[1]), np.float32), np.empty(0))


def _distances(embeddings: Vectors, centroids: Vectors) -> NDArray[np.float64]:
    """Euclidean, [texts, centroids]."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(embeddings, centroids), dtype=np.float64)
