"""`tiller steer plot`: a sweep as table and curves in the terminal, and as PNG and SVG with its numbers as CSV."""

from __future__ import annotations

from engine.plots import CurvePicture, save_picture, show
from engine.steering.figures.measured import nothing_to_draw, open_sweep
from engine.steering.figures.settings import PlotSettings
from engine.steering.figures.sweep import sweep_panels
from engine.steering.figures.told import told


def run(settings: PlotSettings) -> str:
    sweep = open_sweep(settings)
    picture = CurvePicture(tuple(sweep_panels(sweep)))
    if not picture.panels:
        raise nothing_to_draw([settings.behavior], "plot")
    workspace = sweep.experiment.workspace
    path = save_picture(workspace, f"steer-{settings.behavior}", settings.key(**sweep.inputs()), picture, told(settings))
    show(picture, told(settings))
    return f"plot {settings.behavior}: {workspace.relative(path)} with .svg and its numbers as .csv"
