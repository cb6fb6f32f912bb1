"""`tiller steer figure finetuning`: steering of fine-tuned models beside that of the model they came from."""

from __future__ import annotations

from engine.plots import CurvePicture
from engine.steering.figures.finetuning import finetuning_panels, tuned_sweeps
from engine.steering.figures.measured import nothing_to_draw
from engine.steering.figures.settings import FinetuningSettings
from engine.steering.figures.several import figure_key, present
from engine.steering.figures.told import told


def run(settings: FinetuningSettings) -> str:
    sweeps = [tuned_sweeps(settings, each) for each in settings.each()]
    panels = finetuning_panels(sweeps)
    if not panels:
        raise nothing_to_draw(settings.behavior, "draw of fine-tuned models")
    every = [sweep for each in sweeps for sweep in each.values()]
    pictures = [(f"finetuning-{'-'.join(settings.behavior)}", CurvePicture(tuple(panels)))]
    return f"figure finetuning: {present(every[0].experiment.workspace, figure_key(settings, every), pictures, told(settings))}"
