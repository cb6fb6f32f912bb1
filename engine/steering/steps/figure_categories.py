"""`tiller steer figure categories`: TruthfulQA and MMLU by category, at every multiplier."""

from __future__ import annotations

from engine.errors import EngineError
from engine.plots import DotPicture
from engine.steering.figures.categories import category_panels
from engine.steering.figures.measured import open_sweep
from engine.steering.figures.settings import CategoriesSettings
from engine.steering.figures.several import figure_key, present
from engine.steering.figures.told import told


def run(settings: CategoriesSettings) -> str:
    settings = settings.model_copy(update={"measure": tuple(kind for kind in settings.measure if kind != "open")})
    sweeps = [open_sweep(each) for each in settings.each()]
    panels = [panel for sweep in sweeps for panel in category_panels(sweep)]
    if not panels:
        raise EngineError(
            f"Neither TruthfulQA nor MMLU was asked about {', '.join(settings.behavior)} for these settings; "
            "run `tiller steer apply --questions truthfulqa mmlu` with the same options first."
        )
    pictures = [(f"categories-{'-'.join(settings.behavior)}", DotPicture(tuple(panels)))]
    what = told(settings, but=("measure",))
    return f"figure categories: {present(sweeps[0].experiment.workspace, figure_key(settings, sweeps), pictures, what)}"
