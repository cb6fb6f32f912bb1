"""Points and curves from records: a mean at every x with its band, a difference to the unsteered
model, a cost.

Owns how cells become points. The unit that is drawn again is the item or the prompt, since samples of one prompt are no
independent evidence. What a judge gave no answer to is left out of a mean and counted. No torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from engine.plots.curves import Curve, Point
from engine.statistics import bootstrap_ratio, mean_of, quartiles
from engine.steering.experiment import Cell
from engine.steering.figures.settings import Band

Labels = Mapping[str, int]
Units = dict[str, list[float]]
"""The observations of every item or prompt."""
Reader = Callable[[Cell], tuple[Units, Labels]]
Passages = Callable[[Cell], Mapping[str, Mapping[str, float]]]
"""{passage: {"nll", "tokens"}} of a cell."""
Axis = Callable[[Cell], float]


def multiplier(cell: Cell) -> float:
    return cell.multiplier


def layer(cell: Cell) -> float:
    return cell.layers[0]


def curve(
    name: str, cells: Sequence[Cell], read: Reader, share: bool = False, band: Band = "interval", x: Axis = multiplier
) -> Curve:
    """A point for each x; cells that share one (control vectors of several seeds) are pooled by unit."""
    pooled: dict[float, tuple[Units, Counter[str]]] = {}
    for cell in cells:
        at, labels = pooled.setdefault(x(cell), ({}, Counter()))
        found, given = read(cell)
        labels.update(given)
        for unit, observations in found.items():
            at.setdefault(unit, []).extend(observations)
    points = (point(place, found, labels, share, band) for place, (found, labels) in sorted(pooled.items()) if found)
    return Curve(name, tuple(points), {place: labels for place, (_, labels) in sorted(pooled.items())})


def point(x: float, units: Units, labels: Labels | None = None, share: bool = False, band: Band = "interval") -> Point:
    at = mean_of(units, share)
    low, high = quartiles(units) if band == "quartiles" else (at.low, at.high)
    return Point(x, at.mean, low, high, at.units, at.observations, labels or {})


def rise(name: str, cells: Sequence[Cell], unsteered: Cell, read: Reader, band: Band, x: Axis) -> Curve:
    """How far each unit's mean lies above its own in the unsteered model; units that lack either are left out."""
    below = read(unsteered)[0]
    points = []
    labels: dict[float, Labels] = {}
    for cell in sorted(cells, key=x):
        above, labels[x(cell)] = read(cell)
        moved = {unit: [_mean(above[unit]) - _mean(below[unit])] for unit in above if unit in below}
        if moved:
            points.append(point(x(cell), moved, labels[x(cell)], band=band))
    return Curve(name, tuple(points), labels)


def cost(name: str, cells: Sequence[Cell], unsteered: Cell, read: Passages, band: Band, x: Axis) -> Curve:
    """Perplexity of the passages over that of the unsteered model: exp(Σ(nll − nll₀) / Σ tokens)."""
    plain = read(unsteered)
    pooled: dict[float, dict[str, tuple[float, float]]] = {}
    for cell in cells:
        for passage, row in read(cell).items():
            if passage in plain:
                at = pooled.setdefault(x(cell), {})
                extra, tokens = at.get(passage, (0.0, 0))
                at[passage] = (extra + row["nll"] - plain[passage]["nll"], tokens + row["tokens"])
    points = []
    for place, passages in sorted(pooled.items()):
        extra, tokens = zip(*(passages[name] for name in sorted(passages)), strict=True)
        if band == "quartiles":
            low, high = quartiles({str(i): [math.exp(e / t)] for i, (e, t) in enumerate(zip(extra, tokens, strict=True))})
        else:
            low, high = map(math.exp, bootstrap_ratio(extra, tokens))
        points.append(Point(place, math.exp(sum(extra) / sum(tokens)), low, high, len(passages), len(passages)))
    return Curve(name, tuple(points))


def _mean(observations: Sequence[float]) -> float:
    return sum(observations) / len(observations)
