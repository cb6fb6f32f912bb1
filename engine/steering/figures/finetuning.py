"""Fine-tuned models beside the model they came from, all steered with its vectors: does steering add to training? No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.plots.curves import Panel
from engine.steering.figures.behaviors import cost_panel, line_panels
from engine.steering.figures.measured import TITLES, Sweep, open_sweep
from engine.steering.figures.settings import FinetuningSettings, PlotSettings
from engine.steering.figures.sweep import COST, where

UNTUNED = "not fine-tuned"


def tuned_sweeps(settings: FinetuningSettings, each: PlotSettings) -> dict[str, Sweep]:
    """The base's sweep at its layers, and those of the tuned models at the same layers with the base's vectors."""
    base = open_sweep(each)
    layers = tuple(sorted({layer for cell in base.own for layer in cell.layers}))
    same = {"vector_model": each.vector_model or each.model, "layer": layers, "revision": None}
    tuned = {
        label: open_sweep(each.model_copy(update={"model": model, **same})) for label, model in settings.labelled().items()
    }
    return {UNTUNED: base, **tuned}


def finetuning_panels(sweeps: Sequence[Mapping[str, Sweep]]) -> list[Panel]:
    """Of each behaviour a panel for every measure, a line for every model."""
    panels: list[Panel] = []
    for each in sweeps:
        base = each[UNTUNED]
        for number, (_, own, _) in enumerate(base.at_layers()):
            lines = [(label, sweep, sweep.at_layers()[number][1]) for label, sweep in each.items()]
            for kind in base.settings.measure:
                panels += line_panels(f"{base.behavior}: {TITLES[kind]}, {where(own[0])}", lines, kind, percent=False)
            title = f"{base.behavior}: {COST}, {where(own[0])}"
            panels += cost_panel(title, lines, base, f"; all relative to the model {UNTUNED}: training costs too")
    return panels
