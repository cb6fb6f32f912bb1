"""`tiller steer plot`: a sweep as table and curve in the terminal, and as PNG with its numbers as CSV."""

from __future__ import annotations

import os
import shutil
import sys

from engine.atomic import write_whole
from engine.plots import Panel, csv_text, heading, png, table, terminal
from engine.steering.figures import sweep_panels
from engine.steering.settings import PlotSettings
from engine.store import note_artifact


def run(settings: PlotSettings) -> str:
    sweep = sweep_panels(settings)
    experiment, panels = sweep.experiment, sweep.panels
    inputs = {"model": experiment.source.identity, "data": experiment.data.test.hash(), "vectors": experiment.vectors_key}
    key = settings.key(**inputs, **({"scorer": sweep.scorer} if sweep.scorer else {}))
    path = experiment.workspace.plots / f"steer-{settings.behavior}-{key}.png"
    numbers = path.with_suffix(".csv")
    write_whole(path, png(panels))
    write_whole(numbers, csv_text(panels).encode())
    for made in (path, numbers):
        note_artifact(experiment.workspace, made, "plots", key)
    for panel in panels:
        show(panel)
    return f"plot {settings.behavior}: {experiment.workspace.relative(path)} and its numbers as .csv"


def show(panel: Panel) -> None:
    """Table and curve on stdout: in colour on a terminal, plain and 80 columns wide in a pipe."""
    tty = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((80, 24)).columns, 100) if tty else 80
    print(f"\n{heading(panel, width)}\n\n{table(panel)}\n")
    print(terminal(panel, width, color=tty and "NO_COLOR" not in os.environ))
