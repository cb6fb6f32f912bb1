"""`tiller steer figure layers`: the effect and the cost of steering over the layers, as curves and as maps."""

from __future__ import annotations

from engine.errors import InputError
from engine.plots import CurvePicture, HeatmapPicture
from engine.steering.figures.layers import layer_maps, layer_panels
from engine.steering.figures.measured import nothing_to_draw, open_sweep
from engine.steering.figures.settings import LayersSettings
from engine.steering.figures.several import figure_key, present
from engine.steering.figures.told import told


def run(settings: LayersSettings) -> str:
    if settings.together:
        raise InputError("This figure draws each layer's own sweep; leave --together away, or use `tiller steer plot`.")
    at = (-settings.at, 0.0, settings.at)
    settings = settings.model_copy(update={"multipliers": tuple(sorted({*settings.multipliers, *at}))})
    sweeps = [open_sweep(each, every_layer=True) for each in settings.each()]
    maps, panels = layer_maps(sweeps), layer_panels(settings, sweeps)
    if not maps:
        raise nothing_to_draw(settings.behavior, "draw over layers")
    names = "-".join(settings.behavior)
    workspace = sweeps[0].experiment.workspace
    pictures = [(f"layers-map-{names}", HeatmapPicture(tuple(maps)))]
    curves = [(f"layers-{names}", CurvePicture(tuple(panels)))] if panels else []
    return f"figure layers: {present(workspace, figure_key(settings, sweeps), [*curves, *pictures], told(settings))}"
