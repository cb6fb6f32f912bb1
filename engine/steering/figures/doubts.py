"""What a reader of a sweep should doubt: said in sentences, before the pictures. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.judges.summary import MUCH_UNANSWERED, unanswered
from engine.plots.curves import Panel
from engine.steering.figures.measured import Sweep
from engine.steering.figures.sweep import COST_LABEL
from engine.store import read_responses

_FEW = 20  # units
_DEAR = 1.5  # times the perplexity
_MUCH_CUT = 0.5  # share of answers


def doubts(sweep: Sweep, panels: Sequence[Panel]) -> list[str]:
    """Judges that are not trusted, verdicts left out, few units, steering that costs much, answers cut off."""
    found = [m.standing for m in sweep.measures if m.standing and not m.standing.partition(": ")[2].startswith("checked: ")]
    found = list(dict.fromkeys(found))
    for panel in panels:
        name = panel.title.removeprefix(f"{sweep.behavior}: ")
        found += _few(name, panel) + _left_out(name, panel)
        if panel.y_label == COST_LABEL:
            found += _dear(name, panel)
    if not panels:
        found.append("nothing has been measured for these settings")
    elif not any(panel.y_label == COST_LABEL for panel in panels):
        found.append("what the steering costs was not measured; apply it with --questions capability too")
    return found + _cut(sweep)


def _few(name: str, panel: Panel) -> list[str]:
    least = min(point.units for curve in panel.curves for point in curve.points)
    if panel.y_label == COST_LABEL or least >= _FEW:
        return []
    return [f"{name} rests on {least} questions only: its bands are wide and may still be too narrow"]


def _left_out(name: str, panel: Panel) -> list[str]:
    sparse = [
        f"{unanswered(labels):.0%} of {curve.name} at {at:+g}"
        for curve in panel.curves
        for at, labels in curve.labels.items()
        if unanswered(labels) > MUCH_UNANSWERED
    ]
    return [f"{name}: the judge gave no answer to {', '.join(sparse)}; these are left out of the means"] if sparse else []


def _dear(name: str, panel: Panel) -> list[str]:
    dear = [
        f"{point.mean:.1f} times at {point.x:+g}"
        for curve in panel.curves
        if curve.name not in panel.follows
        for point in curve.points
        if point.mean > _DEAR
    ]
    return [f"{name}: ordinary text becomes much less probable: {', '.join(dear)}"] if dear else []


def _cut(sweep: Sweep) -> list[str]:
    """How many answers ended at the longest length allowed."""
    ends = [one.finish for cell in sweep.own for one in read_responses(sweep.experiment.workspace, cell.key).values()]
    cut = ends.count("length")
    if not ends or cut / len(ends) <= _MUCH_CUT:
        return []
    limit = sweep.settings.max_new_tokens
    return [f"{cut / len(ends):.0%} of the answers were cut off at {limit} tokens; give a larger --max-new-tokens"]
