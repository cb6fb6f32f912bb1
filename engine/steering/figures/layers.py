"""Which layer works, and what it costs: the effect of ±m over the layers, and maps of layers × multipliers. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.judges.summary import MUCH_UNANSWERED, unanswered
from engine.plots.curves import Curve, Panel, Point
from engine.plots.heatmap import Heatmap
from engine.steering.experiment import Cell
from engine.steering.figures.measured import Measure, Sweep
from engine.steering.figures.points import cost, curve, layer, multiplier, rise
from engine.steering.figures.settings import Kind, LayersSettings
from engine.steering.figures.sweep import COST, COST_LABEL, band_note, cost_note, count, judged_remarks, panel

_KINDS: tuple[Kind, ...] = ("ab", "open", "truthfulqa", "mmlu")


def layer_panels(settings: LayersSettings, sweeps: Sequence[Sweep]) -> list[Panel]:
    """Δ = value at ±m − unsteered value, a line for each behaviour and sign; then the values themselves; then the cost."""
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
            known = {layers[0]: curve("", own, measure.read, measure.share) for layers, own, _ in sweep.at_layers()}
            title = f"{sweep.behavior}: {measure.title}" + (f", {measure.group}" if measure.group else "")
            maps += _map(title, measure.y_label, known, measure.units, measure.y_range)
        spent = {
            layers[0]: cost("", own, sweep.unsteered, sweep.spent, "interval", multiplier)
            for layers, own, _ in sweep.at_layers()
        }
        maps += _map(f"{sweep.behavior}: {COST}", COST_LABEL, spent, "passages", None)
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
            curves.append(rise(signed, _at(sweep.own, at), sweep.unsteered, measure.read, settings.band, layer))
            if sign < 0:
                follows[signed] = f"{name} {settings.at:+g}"
    if not measures:
        return []
    note = band_note(settings.band, measures[0][1]).replace(", Wilson's where all are alike", "") + ", paired with unsteered"
    title = f"{measures[0][1].title}: effect of ±{settings.at:g} × v"
    remarks = judged_remarks([measure for _, measure in measures], curves, "layer ")
    label = "change against unsteered"
    return panel(title, label, curves, measures[0][1].units, note, None, follows, remarks, x_name="layer")


def _values(settings: LayersSettings, sweep: Sweep, measure: Measure) -> list[Panel]:
    curves = [
        curve(f"{at:+g} × v" if at else "0", _at(sweep.own, at), measure.read, measure.share, settings.band, layer)
        for at in (settings.at, 0.0, -settings.at)
    ]
    title = f"{sweep.behavior}: {measure.title}" + (f", {measure.group}" if measure.group else "")
    note, remarks = band_note(settings.band, measure), judged_remarks([measure], curves, "layer ")
    return panel(title, measure.y_label, curves, measure.units, note, measure.y_range, remarks=remarks, x_name="layer")


def _costs(settings: LayersSettings, sweeps: Sequence[Sweep]) -> list[Panel]:
    curves: list[Curve] = []
    follows: dict[str, str] = {}
    for sweep in sweeps:
        for at in (settings.at, -settings.at):
            name = f"{sweep.behavior} {at:+g}"
            curves.append(cost(name, _at(sweep.own, at), sweep.unsteered, sweep.spent, settings.band, layer))
            if at < 0:
                follows[name] = f"{sweep.behavior} {settings.at:+g}"
    title = f"{COST} at ±{settings.at:g} × v"
    return panel(title, COST_LABEL, curves, "passages", cost_note(settings.band), None, follows, x_name="layer")


def _at(cells: Sequence[Cell], multiplier: float) -> list[Cell]:
    return [cell for cell in cells if cell.multiplier == multiplier]


def _map(
    title: str, value_name: str, known: dict[int, Curve], units: str, y_range: tuple[float, float] | None
) -> list[Heatmap]:
    """Nothing where no layer has a point. A mean that leaves out many verdicts bears a star."""
    points = {layer: {point.x: point for point in curve.points} for layer, curve in known.items()}
    every = [point for row in points.values() for point in row.values()]
    if not every:
        return []
    is_cost = value_name == COST_LABEL
    low, high = min(point.mean for point in every), max(point.mean for point in every)
    limits = y_range or ((min(low, 0.99), max(high, 1.5)) if is_cost else (low, high))
    layers = sorted(points)
    multipliers = sorted({point.x for point in every})
    rows = [[points[layer].get(at) for at in multipliers] for layer in layers]
    sparse = any(unanswered(point.labels) > MUCH_UNANSWERED for point in every)
    note = count(Curve("", tuple(every)), units)
    if sparse:
        note += f"; * over {MUCH_UNANSWERED:.0%} of the verdicts are no answer and left out"
    return [
        Heatmap(
            title, "layer", "multiplier", value_name,
            tuple(map(str, layers)), tuple(f"{at:+g}" if at else "0" for at in multipliers),
            tuple(tuple(at.mean if at else None for at in row) for row in rows),
            limits, diverging=not is_cost, note=note, logarithmic=is_cost,
            texts=tuple(tuple(map(_cell, row)) for row in rows),
            counts=tuple(tuple(at.units if at else 0 for at in row) for row in rows),
        )
    ]  # fmt: skip


def _cell(at: Point | None) -> str:
    if at is None:
        return ""
    return f"{at.mean:.2f}" + ("*" if unanswered(at.labels) > MUCH_UNANSWERED else "")
