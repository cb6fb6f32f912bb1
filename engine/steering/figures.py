"""The panels of a steering sweep: which curves belong together, and what their axes say. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import EngineError
from engine.identity import resolve_model
from engine.judges.local import demo_rubric, scorer_name
from engine.plots import Panel
from engine.steering.curves import Curve, judged_curve, letter_curve
from engine.steering.experiment import Cell, Experiment, all_cells, open_experiment
from engine.steering.settings import PlotSettings
from engine.store import read_scores

X_LABEL = "multiplier of the steering vector (× v)"


def sweep_panels(settings: PlotSettings) -> tuple[Experiment, list[Panel]]:
    """One panel for A/B letters, one for judged answers, for each steered layer: whatever of them has been recorded."""
    experiment = open_experiment(settings)
    own, random = all_cells(experiment, settings.apply_settings(), experiment.vectors_header())
    panels: list[Panel] = []
    for layer in sorted({cell.site.layer for cell in own}):
        at_layer = [[cell for cell in cells if cell.site.layer == layer] for cells in (own, random)]
        panels += _letters(experiment, settings, *at_layer) + _judged(experiment, settings, *at_layer)
    if not panels:
        raise EngineError(
            f"There is nothing to plot about '{settings.behavior}' for these settings; "
            "run `tiller steer apply` and `tiller steer score` with the same options first."
        )
    return experiment, panels


def _letters(experiment: Experiment, settings: PlotSettings, own: Sequence[Cell], random: Sequence[Cell]) -> list[Panel]:
    items = experiment.data.test.items[: settings.limit]
    title = f"{settings.behavior}: A/B letters, layer {own[0].site.layer}"
    drawn: list[tuple[Curve, str | None]] = []
    if items:
        drawn = [(letter_curve(experiment.workspace, own, items, "vector"), None)]
    if items and random:
        drawn.append((letter_curve(experiment.workspace, random, items, _control_name("", random)), "vector"))
    return _panel(title, "mean probability of the matching answer", drawn, "items")


def _judged(experiment: Experiment, settings: PlotSettings, own: Sequence[Cell], random: Sequence[Cell]) -> list[Panel]:
    from engine.demo.data import JUDGE_OF

    prompts = experiment.data.test.prompts[: settings.limit]
    if not prompts or settings.behavior not in JUDGE_OF:
        return []
    rubric = demo_rubric(settings.behavior)
    scores = read_scores(experiment.workspace, scorer_name(settings.judge, rubric, resolve_model(settings.judge).identity))
    drawn: list[tuple[Curve, str | None]] = []
    for group in sorted({_group(prompt.id) for prompt in prompts}):
        members = [prompt for prompt in prompts if _group(prompt.id) == group]
        name = group or "vector"
        drawn.append((judged_curve(experiment.workspace, own, members, settings.samples, scores, name), None))
        if random:
            control = _control_name(group, random)
            drawn.append((judged_curve(experiment.workspace, random, members, settings.samples, scores, control), name))
    title = f"{settings.behavior}: open answers, layer {own[0].site.layer}"
    return _panel(title, f"share of answers judged {rubric.id.removeprefix('demo.')}", drawn, "prompts")


def _panel(title: str, y_label: str, drawn: Sequence[tuple[Curve, str | None]], units: str) -> list[Panel]:
    """`drawn` pairs each curve with the one it is the control of."""
    curves = tuple(curve for curve, _ in drawn if curve.points)
    if not curves:
        return []
    counts = {curve.name: _count(curve, units) for curve in curves}
    controls = {curve.name: base for curve, base in drawn if base is not None}
    return [Panel(title, X_LABEL, y_label, curves, counts, f"bands: 95 % bootstrap over {units}", controls)]


def _count(curve: Curve, units: str) -> str:
    least = min(curve.points, key=lambda point: point.units)
    each = least.observations / least.units
    return f"{least.units} {units} × {each:g}" if each > 1 else f"{least.units} {units}"


def _group(prompt_id: str) -> str:
    """The demo's refusal prompts are of two kinds that move in opposite directions; others form one group."""
    return next((kind for kind in ("harmful", "harmless") if prompt_id.startswith(f"{kind}-")), "")


def _control_name(group: str, cells: Sequence[Cell]) -> str:
    seeds = len({cell.control_seed for cell in cells})
    return f"random, {group}" if group else f"{seeds} random vector{'s' if seeds > 1 else ''}"
