"""Which layer works, and what it costs: the effect of ±m over the layers, and maps of layers × multipliers. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plots.curves import Curve, Panel
from engine.plots.heatmap import Heatmap
from engine.steering.experiment import Cell
from engine.steering.figures.measured import Measure, Sweep
from engine.steering.figures.points import cost, curve, layer, multiplier, rise
from engine.steering.figures.settings import Kind, LayersSettings
from engine.steering.figures.sweep import COST, COST_LABEL, band_note, cost_note, count

_KINDS: tuple[Kind, ...] = ("ab", "open", "truthfulqa", "mmlu")


def layer_panels(settings: LayersSettings, sweeps: Sequence[Sweep]) -> list[Panel]:
    """Δ = value at ±m − value at 0, a line for each behaviour and sign; then the values themselves; then the cost."""
    panels: list[Panel] = []
    for kind in _KINDS:
        panels += _effects(settings, sweeps, kind)
    for sweep in sweeps:
        for measure in sweep.measures:
            panels += _values(settings, sweep, measure)
    return panels + _costs(settings, sweeps)


def layer_maps(sweeps: Sequence[Sweep]) -> list[Heatmap]:
    """For each behaviour and measure a map of layers × multipliers, the cost of each beside it."""
    maps: list[Heatmap] = []
    for sweep in sweeps:
        for measure in sweep.measures:
            known = {layers[0]: curve("", own, measure.read, measure.share).points for layers, own, _ in sweep.at_layers()}
            values = {place: {point.x: point.mean for point in points} for place, points in known.items()}
            if any(values.values()):
                title = f"{sweep.behavior}: {measure.title}" + (f", {measure.group}" if measure.group else "")
                limits = measure.y_range or _span(values)
                maps.append(_map(title, measure.y_label, values, limits, diverging=True))
        maps += _cost_map(sweep)
    return maps


def _effects(settings: LayersSettings, sweeps: Sequence[Sweep], kind: Kind) -> list[Panel]:
    curves: list[Curve] = []
    follows: dict[str, str] = {}
    measures = [(sweep, measure) for sweep in sweeps for measure in sweep.measures if measure.kind == kind]
    for sweep, measure in measures:
        name = sweep.behavior + (f", {measure.group}" if measure.group else "")
        for sign in (1, -1):
            at = sign * settings.at
            signed = f"{name} {at:+g}"
            curves.append(rise(signed, _at(sweep.own, at), sweep.zeros, measure.read, settings.band, layer))
            if sign < 0:
                follows[signed] = f"{name} {settings.at:+g}"
    if not measures:
        return []
    note = band_note(settings.band, measures[0][1]).replace(", Wilson's where all are alike", "") + ", paired with 0"
    return _over_layers(f"{measures[0][1].title}: effect of ±{settings.at:g} × v", "change against multiplier 0", curves,
                        measures[0][1].units, note, None, follows)  # fmt: skip


def _values(settings: LayersSettings, sweep: Sweep, measure: Measure) -> list[Panel]:
    curves = [
        curve(f"{at:+g} × v" if at else "0", _at(sweep.own, at), measure.read, measure.share, settings.band, layer)
        for at in (settings.at, 0.0, -settings.at)
    ]
    title = f"{sweep.behavior}: {measure.title}" + (f", {measure.group}" if measure.group else "")
    return _over_layers(title, measure.y_label, curves, measure.units, band_note(settings.band, measure), measure.y_range)


def _costs(settings: LayersSettings, sweeps: Sequence[Sweep]) -> list[Panel]:
    curves: list[Curve] = []
    follows: dict[str, str] = {}
    for sweep in sweeps:
        for at in (settings.at, -settings.at):
            name = f"{sweep.behavior} {at:+g}"
            workspace = sweep.experiment.workspace
            curves.append(cost(name, workspace, _at(sweep.own, at), sweep.zeros, settings.band, layer))
            if at < 0:
                follows[name] = f"{sweep.behavior} {settings.at:+g}"
    title = f"{COST} at ±{settings.at:g} × v"
    return _over_layers(title, COST_LABEL, curves, "passages", cost_note(settings.band), None, follows)


def _over_layers(
    title: str,
    y_label: str,
    curves: Sequence[Curve],
    units: str,
    note: str,
    y_range: tuple[float, float] | None,
    follows: dict[str, str] | None = None,
) -> list[Panel]:
    drawn = tuple(one for one in curves if one.points)
    if not drawn:
        return []
    names = {one.name for one in drawn}
    kept = {name: base for name, base in (follows or {}).items() if {name, base} <= names}
    counts = {one.name: count(one, units) for one in drawn}
    logarithmic = y_label == COST_LABEL
    return [Panel(title, "layer", y_label, drawn, counts, note, kept, y_range, (), "layer", logarithmic=logarithmic)]


def _at(cells: Sequence[Cell], multiplier: float) -> list[Cell]:
    return [cell for cell in cells if cell.multiplier == multiplier]


def _cost_map(sweep: Sweep) -> list[Heatmap]:
    workspace = sweep.experiment.workspace
    values = {
        layers[0]: {point.x: point.mean for point in cost("", workspace, own, sweep.zeros, "interval", multiplier).points}
        for layers, own, _ in sweep.at_layers()
    }
    if not any(values.values()):
        return []
    low, high = _span(values)
    return [_map(f"{sweep.behavior}: {COST}", COST_LABEL, values, (min(low, 0.99), max(high, 1.5)), diverging=False)]


def _map(
    title: str, value_name: str, values: dict[int, dict[float, float]], limits: tuple[float, float], diverging: bool
) -> Heatmap:
    layers = sorted(values)
    multipliers = sorted({at for row in values.values() for at in row})
    cells = tuple(tuple(values[layer].get(at) for at in multipliers) for layer in layers)
    names = tuple(f"{at:+g}" if at else "0" for at in multipliers)
    return Heatmap(
        title,
        "layer",
        "multiplier",
        value_name,
        tuple(map(str, layers)),
        names,
        cells,
        limits,
        diverging,
        logarithmic=not diverging,
    )


def _span(values: dict[int, dict[float, float]]) -> tuple[float, float]:
    numbers = [number for row in values.values() for number in row.values()]
    return min(numbers), max(numbers)
