"""Activations and vectors in the plane of their two largest components: does the behaviour separate, or the letter?

Colour is the class of an example, the mark its letter. The components are of all classes' activations together, centred on
their mean. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.families import Site, SiteKind
from engine.plots.scatter import ScatterGroup, ScatterPanel
from engine.steering.figures.vectorfiles import Activations, Vectors, no_activations, open_activations

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MARKS: dict[str | None, int] = {None: 0, "A": 0, "B": 6}  # a disc and a cross


def components(states: NDArray[Any]) -> tuple[NDArray[Any], tuple[float, float]]:
    """states: [n, hidden] → coordinates [n, 2] and the share of variance of each. The sign is such that the largest coordinate
    is positive, so that a picture is always the same."""
    import numpy as np

    centred = states - states.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(states), 2))
    coordinates[:, : len(s[:2])] = u[:, :2] * s[:2]
    largest = coordinates[np.abs(coordinates).argmax(0), [0, 1]]
    coordinates *= np.where(largest < 0, -1, 1)
    shares = np.zeros(2)
    shares[: len(s[:2])] = s[:2] ** 2 / max((s**2).sum(), np.finfo(float).tiny)
    return coordinates, (float(shares[0]), float(shares[1]))


def activation_panel(vectors: Vectors, layer: int, kind: SiteKind) -> ScatterPanel:
    site = Site(layer, kind)
    saved = open_activations(vectors, site)
    if saved is None:
        raise no_activations(vectors, site)
    return scatter(f"{vectors.behavior}: activations at {site.name}", saved, vectors.experiment.data.contrast.target)


def scatter(title: str, saved: Activations, target: str) -> ScatterPanel:
    """The target's class comes first, in blue."""
    import numpy as np

    names = sorted(saved.classes, key=lambda name: name != target)
    coordinates, shares = components(np.concatenate([saved.classes[name] for name in names]))
    groups: list[ScatterGroup] = []
    start = 0
    for color, name in enumerate(names):
        places = coordinates[start : start + len(saved.classes[name])]
        start += len(places)
        for letter in sorted(set(saved.letters[name]), key=str):
            chosen = [index for index, one in enumerate(saved.letters[name]) if one == letter]
            points = tuple((float(places[index][0]), float(places[index][1])) for index in chosen)
            ids = tuple(saved.ids[name][index] for index in chosen)
            groups.append(ScatterGroup(f"{name}, {letter}" if letter else name, points, color, _MARKS.get(letter, 1), ids))
    return ScatterPanel(title, *_axes(shares), tuple(groups))


def vector_panel(sets: Sequence[Vectors]) -> ScatterPanel:
    """The vectors of all layers and behaviours, each at length 1, written with their layers."""
    import numpy as np

    stacked = np.concatenate([vectors.layers for vectors in sets])
    norms = np.linalg.norm(stacked, axis=1, keepdims=True)
    coordinates, shares = components(stacked / np.where(norms > 0, norms, 1))
    groups = []
    start = 0
    for color, vectors in enumerate(sets):
        places = coordinates[start : start + len(vectors.layers)]
        start += len(vectors.layers)
        points = tuple((float(x), float(y)) for x, y in places)
        labels = tuple(str(layer) for layer in range(len(points)))
        groups.append(ScatterGroup(vectors.behavior, points, color, 0, labels, written=True, joined=True))
    return ScatterPanel("vectors of all layers, at equal length", *_axes(shares), tuple(groups))


def _axes(shares: tuple[float, float]) -> tuple[str, str]:
    first, second = (f"component {number} ({share:.0%} of the variance)" for number, share in enumerate(shares, 1))
    return first, second
