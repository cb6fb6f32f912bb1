"""Steering beside system prompts, and together with them: three lines for each behaviour, and their values at −1, 0 and 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from engine.plots.curves import Panel
from engine.steering.figures.behaviors import line_panels
from engine.steering.figures.measured import TITLES, Sweep
from engine.steering.figures.sweep import where
from engine.text_table import text_table

System = Literal["pos", "neg", "none"]
SYSTEMS: dict[System, str] = {
    "pos": "with the behaviour's system prompt",
    "neg": "with its opposite's",
    "none": "without a system prompt",
}
_TOLD = (-1.0, 0.0, 1.0)


def system_panels(sweeps: Sequence[Mapping[System, Sweep]]) -> list[Panel]:
    """sweeps: of each behaviour, the sweep under every system prompt. What steering costs does not depend on it: the text whose
    perplexity is measured is no chat."""
    panels: list[Panel] = []
    for each in sweeps:
        first = next(iter(each.values()))
        for number, (_, own, _) in enumerate(first.at_layers()):
            lines = [(SYSTEMS[system], sweep, sweep.at_layers()[number][1]) for system, sweep in each.items()]
            for kind in first.settings.measure:
                panels += line_panels(f"{first.behavior}: {TITLES[kind]}, {where(own[0])}", lines, kind, percent=False)
    return panels


def system_table(panels: Sequence[Panel], width: int) -> str:
    """What the original printed as a row: the values at −1, 0 and 1 under each system prompt."""
    names = [(panel, curve) for panel in panels for curve in panel.curves]
    rows = [f"{panel.title}; {curve.name}" for panel, curve in names]
    columns = []
    for at in _TOLD:
        points = [next((point for point in curve.points if point.x == at), None) for _, curve in names]
        columns.append((f"{at:+g}" if at else "0", [f"{point.mean:.3f}" if point else "–" for point in points]))
    longest = width - 3 * 8
    return text_table(
        ("multiplier", [row if len(row) <= longest else f"…{row[1 - longest :]}" for row in rows]), columns, True, width
    )
