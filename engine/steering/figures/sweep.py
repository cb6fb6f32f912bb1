"""The panels of one behaviour's sweep: which curves belong together, what their axes say, and what they rest on. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from engine.judges.summary import MUCH_UNANSWERED, unanswered
from engine.judges.verdict import NO_ANSWER
from engine.plots.curves import Curve, Panel
from engine.steering.experiment import Cell
from engine.steering.figures.measured import Measure, Sweep
from engine.steering.figures.points import cost, curve, multiplier
from engine.steering.figures.settings import Band

X_LABEL = "multiplier of the steering vector (× v)"
COST_LABEL = "perplexity of ordinary text, relative to unsteered"
COST = "cost: perplexity"
_CONTROLS = "control vectors are as long as v; by chance one may lie along it or against it, and no band counts that in"


def sweep_panels(sweep: Sweep) -> list[Panel]:
    """For each steered layer a panel of every measure that has been recorded, and one of what the steering costs."""
    panels: list[Panel] = []
    for _, own, controls in sweep.at_layers():
        for kind in sweep.settings.measure:
            measures = [measure for measure in sweep.measures if measure.kind == kind]
            panels += _measured(sweep, measures, own, controls) if measures else []
        panels += _cost(sweep, own, controls)
    return panels


def _measured(sweep: Sweep, measures: Sequence[Measure], own: Sequence[Cell], controls: Sequence[Cell]) -> list[Panel]:
    """One curve for each group of prompts, each with its control's beside it."""
    band = sweep.settings.band
    curves: list[Curve] = []
    follows: dict[str, str] = {}
    for measure in measures:
        name = measure.group or "vector"
        curves.append(curve(name, own, measure.read, measure.share, band))
        if controls:
            control = control_name(measure.group, controls)
            curves.append(curve(control, controls, measure.read, measure.share, band))
            follows[control] = name
        if sweep.settings.edit != "none":
            alone = f"unsteered, {measure.group}" if measure.group else "unsteered"
            own_value = curve(alone, [sweep.unsteered], measure.read, measure.share, band)
            curves.append(_level(own_value, curves))
            follows[alone] = name
    first = measures[0]
    remarks = (*judged_remarks(measures, curves), *([_CONTROLS] if controls else []))
    return panel(
        f"{sweep.behavior}: {first.title}, {where(own[0])}", first.y_label, curves, first.units,
        band_note(band, first), first.y_range, follows, remarks,
    )  # fmt: skip


def _cost(sweep: Sweep, own: Sequence[Cell], controls: Sequence[Cell]) -> list[Panel]:
    band = sweep.settings.band
    curves = [cost("vector", own, sweep.unsteered, sweep.spent, band, multiplier)]
    follows: dict[str, str] = {}
    if controls:
        control = control_name("", controls)
        curves.append(cost(control, controls, sweep.unsteered, sweep.spent, band, multiplier))
        follows[control] = "vector"
    title = f"{sweep.behavior}: {COST}, {where(own[0])}"
    return panel(title, COST_LABEL, curves, "passages", cost_note(band), None, follows)


def _level(one: Curve, beside: Sequence[Curve]) -> Curve:
    """Its one point at every x of the others: what an edit does even without a push, at 0, is seen against it."""
    xs = sorted({point.x for other in beside for point in other.points})
    return Curve(one.name, tuple(replace(at, x=x) for at in one.points for x in xs))


def panel(
    title: str,
    y_label: str,
    curves: Sequence[Curve],
    units: str,
    note: str,
    y_range: tuple[float, float] | None,
    follows: dict[str, str] | None = None,
    remarks: tuple[str, ...] = (),
    x_name: Literal["multiplier", "layer"] = "multiplier",
) -> list[Panel]:
    """Nothing where no curve has a point."""
    drawn = tuple(one for one in curves if one.points)
    if not drawn:
        return []
    names = {one.name for one in drawn}
    kept = {name: base for name, base in (follows or {}).items() if name in names and base in names}
    counts = {one.name: count(one, units) for one in drawn}
    logarithmic = y_label == COST_LABEL
    x_label = X_LABEL if x_name == "multiplier" else x_name
    return [Panel(title, x_label, y_label, drawn, counts, note, kept, y_range, remarks, x_name, logarithmic=logarithmic)]


def band_note(band: Band, measure: Measure) -> str:
    if band == "quartiles":
        return f"bands: middle half of the {measure.units} (25–75 %), not an error of the mean"
    wilson = ", Wilson's where all are alike" if measure.share else ""
    return f"bands: 95 % bootstrap over {measure.units}{wilson}"


def cost_note(band: Band) -> str:
    return "bands: " + ("middle half of the passages (25–75 %)" if band == "quartiles" else "95 % bootstrap over passages")


def count(one: Curve, units: str) -> str:
    least, most = (extreme(one.points, key=lambda point: point.units) for extreme in (min, max))
    number = f"{least.units}" if least.units == most.units else f"{least.units} to {most.units}"
    each = round(most.observations / most.units, 1)
    return f"n = {number} {units} × {each:g}" if each > 1 else f"n = {number} {units}"


def where(cell: Cell) -> str:
    layers = f"layer{'s' if len(cell.layers) > 1 else ''} {', '.join(map(str, cell.layers))}"
    site = cell.settings.site
    return layers if site == "stream" else f"{site} of {layers}"


def control_name(group: str, cells: Sequence[Cell]) -> str:
    seeds = len({cell.control_seed for cell in cells})
    kind = {"random": "random", "shuffled": "shuffled-label"}[cells[0].settings.control]
    return f"{kind}, {group}" if group else f"{seeds} {kind} vector{'s' if seeds > 1 else ''}"


def judged_remarks(measures: Sequence[Measure], curves: Sequence[Curve], x: str = "") -> tuple[str, ...]:
    """Of open answers: how many verdicts there are, how many of them are no answer, where so many that a mean says little; and
    whether the judges are to be trusted. x: what stands before a place on the axis."""
    if not any(measure.kind == "open" for measure in measures):
        return ()
    standings = sorted({measure.standing for measure in measures if measure.standing})
    return (*_unanswered(curves, x), *standings)


def _unanswered(curves: Sequence[Curve], x: str) -> list[str]:
    labels = sum((Counter(given) for one in curves for given in one.labels.values()), Counter[str]())
    if not labels:
        return []
    remarks = [f"{labels.total()} verdicts, of them " + ", ".join(f"{labels[name]} {name}" for name in NO_ANSWER)]
    sparse = [
        f"{unanswered(given):.0%} of {one.name} at {f'{x}{at:g}' if x else f'{at:+g}'}"
        for one in curves
        for at, given in one.labels.items()
        if unanswered(given) > MUCH_UNANSWERED
    ]
    return [*remarks, f"! left out, since they got no answer: {', '.join(sparse)}"] if sparse else remarks
