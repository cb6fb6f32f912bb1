"""Whether two sets of texts come from one distribution, asked in embedding space (spec §7.14: never in a picture of it).

Owns three statistics and their permutation p-values: MMD (Gretton et al. 2012), energy distance (Székely & Rizzo 2013) and the
classifier two-sample test (Lopez-Paz & Oquab 2017). Which texts may change sides is `exchange.py`'s business. The distances
between texts are computed once; a rearrangement only tells anew which of them lie within a set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.exchange import Exchange
from engine.errors import InputError
from engine.significance import permutation_p

DRAWS = 999
_FOLDS = 5
_COMPONENTS = 32  # the classifier sees so many principal components: it is trained anew for every rearrangement
_STEPS = 6  # of Newton's method, which is where a ridge of 1 has converged to more digits than are told
_BLOCK = 1 << 24  # numbers held at a time

Labels = NDArray[np.float32]
"""[rearrangements, texts], 1 for the first set."""


@dataclass(frozen=True, slots=True)
class TwoSample:
    """`statistic` of the sets as they are, `p` its share among `draws` rearrangements. accuracy: of a classifier."""

    name: str
    statistic: float
    p: float
    draws: int
    accuracy: float | None = None


def mmd(
    vectors: NDArray[np.float32], first: NDArray[np.bool_], exchange: Exchange, draws: int = DRAWS, seed: int = 0
) -> TwoSample:
    """Squared maximum mean discrepancy, without bias, of a Gaussian kernel as wide as the median distance.

    vectors: [texts, width]; first: [texts], whether each is of the first set."""
    distances = _distances(vectors)
    above = distances[np.triu_indices(len(distances), 1)]
    width = float(np.median(above)) or float(above.mean()) or 1.0  # where most texts are the same, and where all are
    kernel = np.exp(-(distances**2) / (2 * width**2))
    np.fill_diagonal(kernel, 0)

    def statistic(labels: Labels) -> NDArray[np.float64]:
        within, beyond, across, n, m = _sums(kernel, labels)
        return within / (n * (n - 1)) + beyond / (m * (m - 1)) - 2 * across / (n * m)

    return _tested("MMD²", statistic, first, exchange, draws, seed)


def energy(
    vectors: NDArray[np.float32], first: NDArray[np.bool_], exchange: Exchange, draws: int = DRAWS, seed: int = 0
) -> TwoSample:
    """Energy distance: twice the mean distance across the sets less the means within either. Arguments as for `mmd`."""
    distances = _distances(vectors)

    def statistic(labels: Labels) -> NDArray[np.float64]:
        within, beyond, across, n, m = _sums(distances, labels)
        return 2 * across / (n * m) - within / n**2 - beyond / m**2

    return _tested("energy distance", statistic, first, exchange, draws, seed)


def c2st(
    vectors: NDArray[np.float32],
    first: NDArray[np.bool_],
    exchange: Exchange,
    units: NDArray[np.intp],
    draws: int = 199,
    seed: int = 0,
) -> TwoSample:
    """How well a logistic regression tells the sets apart on texts it was not trained on: area under its ROC curve.

    units: [texts], the number of each text's prompt; a prompt is trained on or tested on as a whole. The regression is trained
    anew for every rearrangement, on the first principal components of all texts. Other arguments as for `mmd`."""
    held = _folds(units, seed)
    features = _components(vectors)

    def scores(labels: Labels) -> NDArray[np.float64]:
        found = np.empty(labels.shape)
        for fold in range(int(held.max()) + 1):
            tested = held == fold
            found[:, tested] = _logistic(features[~tested], labels[:, ~tested]) @ features[tested].T
        return found

    def statistic(labels: Labels) -> NDArray[np.float64]:
        from scipy.stats import rankdata

        n, m = labels.sum(1, dtype=np.float64), (1 - labels).sum(1, dtype=np.float64)
        ranks = (rankdata(scores(labels), axis=1) * labels).sum(1)
        return (ranks - n * (n + 1) / 2) / (n * m)

    found = _tested("C2ST, AUC", statistic, first, exchange, draws, seed)
    right = (scores(first[None].astype(np.float32))[0] > 0) == first
    return TwoSample(found.name, found.statistic, found.p, draws, float(right.mean()))


def _tested(
    name: str,
    statistic: Callable[[Labels], NDArray[np.float64]],
    first: NDArray[np.bool_],
    exchange: Exchange,
    draws: int,
    seed: int,
) -> TwoSample:
    if min(first.sum(), (~first).sum()) < 2:
        raise InputError(
            f"A two-sample test needs 2 texts of either set, not {int(first.sum())} and {int((~first).sum())}; "
            "write more texts, or leave that cell out."
        )
    observed = float(statistic(first[None].astype(np.float32))[0])
    null = [statistic(first[places].astype(np.float32)) for places in exchange.rearranged(np.random.default_rng(seed), draws)]
    return TwoSample(name, observed, permutation_p(np.concatenate(null), observed), draws)


def _distances(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """[texts, texts] Euclidean."""
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    squares = (centred**2).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * centred @ centred.T, 0)).astype(np.float32)
    np.fill_diagonal(distances, 0)
    return distances


def _sums(matrix: NDArray[np.float32], labels: Labels) -> tuple[NDArray[np.float64], ...]:
    """Of each rearrangement: what the matrix sums to within the first set, within the second and across, and both sizes."""
    toward = (labels @ matrix).astype(np.float64)  # [rearrangements, texts]: the sum over the first set
    within, all_first = (toward * labels).sum(1), toward.sum(1)
    total = float(matrix.sum(dtype=np.float64))
    across = all_first - within
    n = labels.sum(1, dtype=np.float64)
    return within, total - all_first - across, across, n, labels.shape[1] - n


def _folds(units: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """[texts], the fold of each: units dealt out in a random order, as evenly as can be."""
    known, number = np.unique(units, return_inverse=True)
    if len(known) < 2:
        raise InputError("A classifier needs texts of 2 prompts, one to train on and one to test on; ask more prompts.")
    order = np.random.default_rng(seed).permutation(len(known))
    return (order % min(_FOLDS, len(known)))[number]


def _components(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """[texts, components + 1]: principal components, the first of variance 1 and the others on its scale, and a column of 1.
    They are of all texts together, so that no label has a part in them."""
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    scale = sizes[0] / np.sqrt(len(vectors)) if len(sizes) and sizes[0] > 0 else 1.0
    kept = (left * sizes)[:, :_COMPONENTS] / scale
    return np.hstack([kept, np.ones((len(kept), 1))])


def _logistic(features: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """Weights of a logistic regression with a ridge of 1 for every row of labels, [rearrangements, features]: Newton's method
    on all of them at once. The last feature is the intercept, which has no ridge."""
    count, width = features.shape
    ridge = np.r_[np.ones(width - 1), 1e-6]
    squares = (features[:, :, None] * features[:, None, :]).reshape(count, -1)
    at_once = max(1, _BLOCK // width**2)
    weights = np.zeros((len(labels), width))
    for start in range(0, len(labels), at_once):
        part = slice(start, start + at_once)
        for _ in range(_STEPS):
            guesses = 1 / (1 + np.exp(-np.clip(weights[part] @ features.T, -30, 30)))
            gradient = (guesses - labels[part]) @ features + ridge * weights[part]
            curvature = ((guesses * (1 - guesses)) @ squares).reshape(-1, width, width) + np.diag(ridge)
            weights[part] -= np.linalg.solve(curvature, gradient[..., None])[..., 0]
    return weights
