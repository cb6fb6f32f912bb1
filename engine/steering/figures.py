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
    curves = [letter_curve(experiment.workspace, own, items, "vector")] if items else []
    if items and random:
        curves.append(letter_curve(experiment.workspace, random, items, _control_name(random)))
    title = f"{settings.behavior}: A/B letters, layer {own[0].site.layer}"
    return _panel(title, "mean probability of the matching answer", curves, "items")


def _judged(experiment: Experiment, settings: PlotSettings, own: Sequence[Cell], random: Sequence[Cell]) -> list[Panel]:
    from engine.demo.data import JUDGE_OF

    prompts = experiment.data.test.prompts[: settings.limit]
    if not prompts or settings.behavior not in JUDGE_OF:
        return []
    rubric = demo_rubric(settings.behavior)
    scores = read_scores(experiment.workspace, scorer_name(settings.judge, rubric, resolve_model(settings.judge).identity))
    curves = []
    for group in sorted({_group(prompt.id) for prompt in prompts}):
        members = [prompt for prompt in prompts if _group(prompt.id) == group]
        names = [(own, group or "vector"), (random, f"{group} {_control_name(random)}".strip())]
        for cells, name in names:
            if cells:
                curves.append(judged_curve(experiment.workspace, cells, members, settings.samples, scores, name))
    title = f"{settings.behavior}: open answers, layer {own[0].site.layer}"
    return _panel(title, f"share judged {rubric.name}", curves, "prompts")


def _panel(title: str, y_label: str, curves: Sequence[Curve], units: str) -> list[Panel]:
    drawn = tuple(curve for curve in curves if curve.points)
    if not drawn:
        return []
    counts = "; ".join(f"{curve.name}: {_count(curve)}" for curve in drawn)
    controls = frozenset(curve.name for curve in drawn if "random" in curve.name)
    return [Panel(title, X_LABEL, y_label, drawn, f"95 % bootstrap band over {units} ({counts})", controls)]


def _count(curve: Curve) -> str:
    least = min(curve.points, key=lambda point: point.units)
    each = least.observations / least.units
    return f"{least.units} × {each:g}" if each > 1 else f"{least.units}"


def _group(prompt_id: str) -> str:
    """The demo's refusal prompts are of two kinds that move in opposite directions; others form one group."""
    return next((kind for kind in ("harmful", "harmless") if prompt_id.startswith(f"{kind}-")), "")


def _control_name(cells: Sequence[Cell]) -> str:
    seeds = len({cell.control_seed for cell in cells})
    return f"{seeds} random vectors" if seeds > 1 else "random vector"
