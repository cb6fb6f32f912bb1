"""The panels of a steering sweep: which curves belong together, what their axes say, and what they rest on. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import EngineError
from engine.judges.check import standing
from engine.judges.judge import Judge, fitting_rubric, open_judge
from engine.judges.rubric import Rubric
from engine.judges.summary import MUCH_UNANSWERED, is_share, unanswered
from engine.judges.verdict import NO_ANSWER
from engine.plots import Panel
from engine.steering.curves import Curve, judged_curve, letter_curve
from engine.steering.experiment import Cell, Experiment, all_cells, open_experiment
from engine.steering.settings import PlotSettings
from engine.store import read_catalog, read_scores

X_LABEL = "multiplier of the steering vector (× v)"

Drawn = list[tuple[Curve, str | None]]
"""Curves, each with the name of the one that it is the control of."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What there is to show of a sweep. `scorer`: whose judgements, where there are any."""

    experiment: Experiment
    panels: list[Panel]
    scorer: str | None


def sweep_panels(settings: PlotSettings) -> Sweep:
    """One panel for A/B letters, one for judged answers, for each steered layer: whatever of them has been recorded."""
    experiment = open_experiment(settings)
    own, random = all_cells(experiment, settings.apply_settings(), experiment.vectors_header())
    judge = _judge(experiment, settings)
    panels: list[Panel] = []
    for layers in sorted({cell.layers for cell in own}):
        at_layer = [[cell for cell in cells if cell.layers == layers] for cells in (own, random)]
        panels += _letters(experiment, settings, *at_layer)
        panels += _judged(experiment, settings, judge, *at_layer) if judge else []
    if not panels:
        raise EngineError(
            f"There is nothing to plot about '{settings.behavior}' for these settings; "
            "run `tiller steer apply` and `tiller steer score` with the same options first."
        )
    return Sweep(experiment, panels, judge.scorer if judge else None)


def _judge(experiment: Experiment, settings: PlotSettings) -> Judge | None:
    """Whose judgements are shown; None where no open answers can have been judged."""
    if not experiment.data.test.prompts:
        return None
    rubric = fitting_rubric(settings, settings.dataset, settings.behavior, experiment.workspace)
    return open_judge(settings, rubric, experiment.workspace) if rubric else None


def _letters(experiment: Experiment, settings: PlotSettings, own: Sequence[Cell], random: Sequence[Cell]) -> list[Panel]:
    items = experiment.data.test.items[: settings.limit]
    title = f"{settings.behavior}: A/B letters, {_where(own[0])}"
    drawn: Drawn = []
    if items:
        drawn = [(letter_curve(experiment.workspace, own, items, "vector"), None)]
    if items and random:
        drawn.append((letter_curve(experiment.workspace, random, items, _control_name("", random)), "vector"))
    return _panel(title, "mean probability of the matching answer", (0, 1), drawn, "items", "bootstrap over items", ())


def _judged(
    experiment: Experiment, settings: PlotSettings, judge: Judge, own: Sequence[Cell], random: Sequence[Cell]
) -> list[Panel]:
    workspace, rubric = experiment.workspace, judge.rubric
    prompts = experiment.data.test.prompts[: settings.limit]
    scores = read_scores(workspace, judge.scorer)
    drawn: Drawn = []
    for group in sorted({_group(prompt.id) for prompt in prompts}):
        members = [prompt for prompt in prompts if _group(prompt.id) == group]
        name = group or "vector"
        drawn.append((judged_curve(workspace, own, members, settings.samples, scores, rubric, name), None))
        if random:
            control = _control_name(group, random)
            drawn.append((judged_curve(workspace, random, members, settings.samples, scores, rubric, control), name))
    title = f"{settings.behavior}: open answers, {_where(own[0])}"
    remarks = (
        *_unanswered(drawn),
        f"judge {judge.name}: {standing(read_catalog(workspace, 'checks').get(judge.scorer), rubric)}",
    )
    band = "bootstrap over prompts" + (", Wilson's where all are alike" if is_share(rubric) else "")
    return _panel(title, *_axis(rubric, drawn), drawn, "prompts", band, remarks)


def _axis(rubric: Rubric, drawn: Drawn) -> tuple[str, tuple[float, float]]:
    """What the mean of a rubric's judgements is called, and where it lies."""
    name = rubric.id.removeprefix("demo.")
    if rubric.kind == "scale":
        low, high = rubric.scale
        lower = " (lower is more)" if rubric.direction == "lower" else ""
        return f"mean score, {name}, {low:g} to {high:g}{lower}", rubric.scale
    if is_share(rubric):
        said = rubric.labels()[0]
        return f"share of answers judged {name}" + ("" if said == "yes" else f": {said}"), (0, 1)
    heights = [point.high for curve, _ in drawn for point in curve.points]
    return f"mean of the rule {name}", (0, max(heights, default=1.0) or 1.0)


def _unanswered(drawn: Drawn) -> list[str]:
    """How many verdicts there are, how many of them are no answer, and where so many that a mean says little."""
    labels = sum((Counter(given) for curve, _ in drawn for given in curve.labels.values()), Counter[str]())
    remarks = [f"{labels.total()} verdicts, of them " + ", ".join(f"{labels[name]} {name}" for name in NO_ANSWER)]
    sparse = [
        f"{unanswered(given):.0%} of {curve.name} at {multiplier:+g}"
        for curve, _ in drawn
        for multiplier, given in curve.labels.items()
        if unanswered(given) > MUCH_UNANSWERED
    ]
    return [*remarks, f"! left out, since they got no answer: {', '.join(sparse)}"] if sparse else remarks


def _panel(
    title: str, y_label: str, y_range: tuple[float, float], drawn: Drawn, units: str, band: str, remarks: tuple[str, ...]
) -> list[Panel]:
    curves = tuple(curve for curve, _ in drawn if curve.points)
    if not curves:
        return []
    counts = {curve.name: _count(curve, units) for curve in curves}
    controls = {curve.name: base for curve, base in drawn if base is not None}
    return [Panel(title, X_LABEL, y_label, curves, counts, f"bands: 95 % {band}", controls, y_range, remarks)]


def _count(curve: Curve, units: str) -> str:
    least, most = (extreme(curve.points, key=lambda point: point.units) for extreme in (min, max))
    number = f"{least.units}" if least.units == most.units else f"{least.units} to {most.units}"
    each = round(most.observations / most.units, 1)
    return f"{number} {units} × {each:g}" if each > 1 else f"{number} {units}"


def _group(prompt_id: str) -> str:
    """The demo's refusal prompts are of two kinds that move in opposite directions; others form one group."""
    return next((kind for kind in ("harmful", "harmless") if prompt_id.startswith(f"{kind}-")), "")


def _where(cell: Cell) -> str:
    return f"layer{'s' if len(cell.layers) > 1 else ''} {', '.join(map(str, cell.layers))}"


def _control_name(group: str, cells: Sequence[Cell]) -> str:
    seeds = len({cell.control_seed for cell in cells})
    return f"random, {group}" if group else f"{seeds} random vector{'s' if seeds > 1 else ''}"
