"""`tiller steer figure behaviors`: the effect of steering on several behaviours, a line each."""

from __future__ import annotations

from engine.plots import CurvePicture
from engine.steering.figures.behaviors import behavior_panels
from engine.steering.figures.measured import nothing_to_draw, open_sweep
from engine.steering.figures.settings import BehaviorsSettings
from engine.steering.figures.several import figure_key, present
from engine.steering.figures.told import told


def run(settings: BehaviorsSettings) -> str:
    sweeps = [open_sweep(each) for each in settings.each()]
    panels = behavior_panels(sweeps)
    if not panels:
        raise nothing_to_draw(settings.behavior, "draw")
    pictures = [(f"behaviors-{'-'.join(settings.behavior)}", CurvePicture(tuple(panels)))]
    return (
        f"figure behaviors: {present(sweeps[0].experiment.workspace, figure_key(settings, sweeps), pictures, told(settings))}"
    )
