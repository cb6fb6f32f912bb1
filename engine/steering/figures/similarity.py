"""How alike vectors are: layers of one behaviour, behaviours at a layer, models at every layer; and how far single differences
spread around their mean.

The original standardised vectors before their cosine, which makes it Pearson's correlation: `--standardise`. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from engine.families import Site, SiteKind
from engine.plots.curves import Curve, Panel, Point
from engine.plots.heatmap import Heatmap
from engine.steering.figures.vectorfiles import Vectors, open_activations

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the single differences d_i around their mean v: `relative` = mean ‖d_i − v‖ / ‖v‖, and that over √n."""

    behavior: str
    layer: int
    pairs: int
    relative: float

    @property
    def error(self) -> float:
        """How far the mean itself may be off, relative to its length."""
        return self.relative / self.pairs**0.5


def cosines(vectors: NDArray[Any], standardise: bool = False) -> NDArray[Any]:
    """vectors: [n, hidden] → [n, n]."""
    import numpy as np

    chosen = (vectors - vectors.mean(1, keepdims=True)) if standardise else vectors  # a scale cancels in a cosine
    norms = np.linalg.norm(chosen, axis=1, keepdims=True)
    unit = chosen / np.where(norms > 0, norms, 1)
    return unit @ unit.T


def layer_maps(sets: Sequence[Vectors], name: str, standardise: bool) -> list[Heatmap]:
    """Layers × layers of each behaviour."""
    maps = []
    for vectors in sets:
        names = tuple(map(str, range(len(vectors.layers))))
        maps.append(_map(f"{vectors.behavior}: layers", "layer", names, cosines(vectors.layers, standardise), name))
    return maps


def behavior_maps(sets: Sequence[Vectors], layers: Sequence[int], name: str, standardise: bool) -> list[Heatmap]:
    """Behaviours × behaviours, a map for each layer."""
    import numpy as np

    maps = []
    for layer in layers:
        stacked = np.stack([vectors.layers[layer] for vectors in sets])
        names = tuple(vectors.behavior for vectors in sets)
        maps.append(_map(f"behaviours at layer {layer}", "behaviour", names, cosines(stacked, standardise), name))
    return maps


def model_maps(models: Mapping[str, Vectors], name: str, standardise: bool) -> list[Heatmap]:
    """Models × models of one behaviour, a map for every layer that all have, on one scale."""
    import numpy as np

    check_widths(models)
    maps = []
    for layer in range(min(len(vectors.layers) for vectors in models.values())):
        stacked = np.stack([vectors.layers[layer] for vectors in models.values()])
        behavior = next(iter(models.values())).behavior
        maps.append(_map(f"{behavior}: models at layer {layer}", "model", tuple(models), cosines(stacked, standardise), name))
    return maps


def model_panel(models: Mapping[str, Sequence[Vectors]], name: str, standardise: bool) -> Panel:
    """The first model against each other one, layer by layer, a line for each behaviour and other model."""
    import numpy as np

    first, *others = models
    curves = []
    for label in others:
        for one, other in zip(models[first], models[label], strict=True):
            check_widths({first: one, label: other})
            points = []
            for layer, (mine, theirs) in enumerate(zip(one.layers, other.layers, strict=False)):
                value = float(cosines(np.stack([mine, theirs]), standardise)[0, 1])
                points.append(Point(layer, value, value, value, 1, 1))
            curves.append(Curve(f"{one.behavior}: {first} – {label}", tuple(points)))
    low = min(0.0, *(point.mean for curve in curves for point in curve.points))
    return Panel("models: how alike their vectors are", "layer", name, tuple(curves), {}, "", y_range=(low, 1), x_name="layer")


def spreads(sets: Sequence[Vectors], kind: SiteKind) -> list[Spread]:
    """Of every layer whose activations are saved and whose two classes pair up."""
    found: list[Spread] = []
    for vectors in sets:
        target = vectors.experiment.data.contrast.target
        for layer in range(len(vectors.layers)):
            saved = open_activations(vectors, Site(layer, kind))
            if saved is None or len(saved.classes) != 2:
                continue
            (other,) = (name for name in saved.classes if name != target)
            if len(saved.classes[target]) == len(saved.classes[other]):
                found.append(spread(vectors.behavior, layer, saved.classes[target] - saved.classes[other]))
    return found


def spread(behavior: str, layer: int, differences: NDArray[Any]) -> Spread:
    """differences: [pairs, hidden]."""
    import numpy as np

    v = differences.mean(0)
    relative = np.linalg.norm(differences - v, axis=1).mean() / np.linalg.norm(v)
    return Spread(behavior, layer, len(differences), float(relative))


def spread_panels(found: Sequence[Spread]) -> list[Panel]:
    """Over the layers, a line for each behaviour: how single differences spread, and how sure their mean is."""
    kinds = (
        ("spread of single differences d around their mean v", "mean ‖d − v‖ / ‖v‖", [one.relative for one in found]),
        ("how far that leaves v itself open", "mean ‖d − v‖ / (‖v‖ √n)", [one.error for one in found]),
    )
    panels = []
    for title, label, values in kinds:
        behaviors: dict[str, list[Point]] = {}
        for one, value in zip(found, values, strict=True):
            behaviors.setdefault(one.behavior, []).append(Point(one.layer, value, value, value, one.pairs, one.pairs))
        curves = tuple(Curve(name, tuple(points)) for name, points in behaviors.items())
        counts = {curve.name: f"n = {curve.points[0].units} pairs" for curve in curves}
        high = max(values, default=1.0) * 1.1
        panels += [Panel(title, "layer", label, curves, counts, "", y_range=(0, high), x_name="layer")] if curves else []
    return panels


def check_widths(models: Mapping[str, Vectors]) -> None:
    widths = {label: vectors.layers.shape[1] for label, vectors in models.items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{label} {width}" for label, width in widths.items())
        raise InputError(f"Vectors of models can be compared where they are equally wide; these are not: {told}.")


def _map(title: str, what: str, names: tuple[str, ...], values: NDArray[Any], value_name: str) -> Heatmap:
    cells = tuple(tuple(map(float, row)) for row in values)
    return Heatmap(title, what, what, value_name, names, names, cells, (-1, 1))
