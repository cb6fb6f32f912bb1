"""`tiller steer figure systems`: steering with the behaviour's system prompt, with its opposite's, and with none."""

from __future__ import annotations

from engine.plots import CurvePicture, screen
from engine.steering.figures.measured import Sweep, nothing_to_draw, open_sweep
from engine.steering.figures.settings import SystemsSettings
from engine.steering.figures.several import figure_key, present
from engine.steering.figures.systems import SYSTEMS, System, system_panels, system_table
from engine.steering.figures.told import told


def run(settings: SystemsSettings) -> str:
    sweeps: list[dict[System, Sweep]] = [
        {system: open_sweep(each.model_copy(update={"system_prompt": system})) for system in SYSTEMS}
        for each in settings.each()
    ]
    panels = system_panels(sweeps)
    if not panels:
        raise nothing_to_draw(settings.behavior, "draw under system prompts")
    every = [sweep for each in sweeps for sweep in each.values()]
    pictures = [(f"systems-{'-'.join(settings.behavior)}", CurvePicture(tuple(panels)))]
    made = present(every[0].experiment.workspace, figure_key(settings, every), pictures, told(settings, but=("system_prompt",)))
    print(f"{system_table(panels, screen()[0])}\n")
    return f"figure systems: {made}"
