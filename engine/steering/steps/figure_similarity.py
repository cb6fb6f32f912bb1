"""`tiller steer figure similarity`: how alike the vectors of layers, behaviours and models are, and how far pairs spread."""

from __future__ import annotations

from engine.errors import InputError
from engine.plots import CurvePicture, HeatmapPicture
from engine.plots.picture import Picture
from engine.steering.figures.settings import SimilaritySettings
from engine.steering.figures.several import labels_of, present
from engine.steering.figures.similarity import behavior_maps, layer_maps, model_maps, model_panel, spread_panels, spreads
from engine.steering.figures.told import told
from engine.steering.figures.vectorfiles import chosen_layers, open_vectors


def run(settings: SimilaritySettings) -> str:
    labels = settings.labelled()
    if len(labels) == 1:
        raise InputError("One model alone is like itself; give --models two or more, each LABEL=MODEL.")
    sets = [open_vectors(settings.of(behavior), settings.site) for behavior in settings.behavior]
    models = {
        label: [open_vectors(settings.of(behavior, model), settings.site) for behavior in settings.behavior]
        for label, model in labels.items()
    }
    name = "Pearson's correlation" if settings.standardise else "cosine"
    layers = chosen_layers(sets[0], settings.layer, settings.site)
    maps = layer_maps(sets, name, settings.standardise)
    if len(sets) > 1:
        maps += behavior_maps(sets, layers, name, settings.standardise)
    behaviors = "-".join(settings.behavior)
    pictures: list[tuple[str, Picture]] = [(f"similarity-{behaviors}", HeatmapPicture(tuple(maps)))]
    if models:
        beside = [
            one
            for number in range(len(sets))
            for one in model_maps({label: each[number] for label, each in models.items()}, name, settings.standardise)
        ]
        pictures.append((f"models-{behaviors}", HeatmapPicture(tuple(beside))))
        pictures.append((f"models-line-{behaviors}", CurvePicture((model_panel(models, name, settings.standardise),))))
    panels = spread_panels(spreads(sets, settings.site))
    if panels:
        pictures.append((f"spread-{behaviors}", CurvePicture(tuple(panels))))
    every = [*sets, *(one for each in models.values() for one in each)]
    inputs = {f"{number}.vectors": one.experiment.vectors_key for number, one in enumerate(every)}
    key = settings.key(**inputs, **labels_of(settings))
    return f"figure similarity: {present(sets[0].experiment.workspace, key, pictures, told(settings))}"
