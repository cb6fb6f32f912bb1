"""The effect of steering on several behaviours: a panel for each measure, a line for each behaviour. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.plots.curves import Curve, Panel, Point
from engine.steering.experiment import Cell
from engine.steering.figures.measured import TITLES, Measure, Sweep
from engine.steering.figures.points import cost, curve, multiplier
from engine.steering.figures.settings import Kind
from engine.steering.figures.sweep import COST_LABEL, band_note, cost_note, judged_remarks, panel, where

Lines = Sequence[tuple[str, Sweep, Sequence[Cell]]]
"""A name and the cells it is drawn from."""

_PERCENT = {
    "ab": "mean probability of the matching answer, %",
    "truthfulqa": "mean probability of the correct answer, %",
    "mmlu": "mean probability of the correct answer, %",
}


def behavior_panels(sweeps: Sequence[Sweep]) -> list[Panel]:
    """Letters and knowledge in percent, open answers on their rubric's scale, and the cost."""
    lines: list[tuple[str, Sweep, Sequence[Cell]]] = []
    for sweep in sweeps:
        layers = sweep.at_layers()
        lines += [(f"{sweep.behavior}, {where(own[0])}", sweep, own) for _, own, _ in layers]
    panels: list[Panel] = []
    for kind in sweeps[0].settings.measure:
        panels += line_panels(f"effect on behaviours: {TITLES[kind]}", lines, kind)
    return panels + cost_panel("cost of steering: perplexity", lines)


def line_panels(title: str, lines: Lines, kind: Kind, percent: bool = True) -> list[Panel]:
    """One panel for each scale that the measures of this kind have: scores of 0 to 10 and shares do not share an axis."""
    found: dict[tuple[float, float] | None, list[tuple[str, Sweep, Sequence[Cell], Measure]]] = {}
    for name, sweep, cells in lines:
        for measure in (one for one in sweep.measures if one.kind == kind):
            said = f"{name}, {measure.group}" if measure.group else name
            found.setdefault(measure.y_range, []).append((said, sweep, cells, measure))
    panels: list[Panel] = []
    for y_range, members in found.items():
        first = members[0][3]
        curves = [curve(said, cells, one.read, one.share, sweep.settings.band) for said, sweep, cells, one in members]
        labels = {measure.y_label for *_, measure in members}
        label = labels.pop() if len(labels) == 1 else "judged to show the behaviour"
        note = band_note(members[0][1].settings.band, first)
        if kind in _PERCENT and percent:
            curves, label, y_range = [_percent(one) for one in curves], _PERCENT[kind], (0, 100)
        remarks = judged_remarks([measure for *_, measure in members], curves)
        panels += [
            replace(one, digits=1 if y_range == (0, 100) else 2)
            for one in panel(title, label, curves, first.units, note, y_range, remarks=remarks)
        ]
    return panels


def cost_panel(title: str, lines: Lines, beside: Sweep | None = None, note: str = "") -> list[Panel]:
    """beside: the sweep to whose unsteered model all are compared (none: each to its own); note: says so."""
    band = lines[0][1].settings.band
    curves = [
        cost(name, cells, (beside or sweep).unsteered, sweep.spent, sweep.settings.band, multiplier)
        for name, sweep, cells in lines
    ]
    return panel(title, COST_LABEL, curves, "passages", cost_note(band) + note, None)


def _percent(one: Curve) -> Curve:
    return Curve(one.name, tuple(_times(point, 100) for point in one.points), one.labels)


def _times(at: Point, factor: float) -> Point:
    return replace(at, mean=at.mean * factor, low=at.low * factor, high=at.high * factor)
