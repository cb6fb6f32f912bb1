"""`tiller steer figure pca`: saved activations by class and letter, and the layers' vectors, in the plane."""

from __future__ import annotations

from engine.plots import ScatterPicture
from engine.plots.picture import Picture
from engine.steering.figures.pca import activation_panel, vector_panel
from engine.steering.figures.settings import PcaSettings
from engine.steering.figures.several import present
from engine.steering.figures.similarity import check_widths
from engine.steering.figures.told import told
from engine.steering.figures.vectorfiles import chosen_layers, open_vectors


def run(settings: PcaSettings) -> str:
    sets = [open_vectors(settings.of(behavior), settings.site) for behavior in settings.behavior]
    check_widths({vectors.behavior: vectors for vectors in sets})
    panels = [
        activation_panel(vectors, layer, settings.site)
        for vectors in sets
        for layer in chosen_layers(vectors, settings.layer, settings.site)
    ]
    behaviors = "-".join(settings.behavior)
    pictures: list[tuple[str, Picture]] = [
        (f"pca-{behaviors}", ScatterPicture(tuple(panels))),
        (f"pca-vectors-{behaviors}", ScatterPicture((vector_panel(sets),))),
    ]
    inputs = {f"{number}.vectors": one.experiment.vectors_key for number, one in enumerate(sets)}
    return f"figure pca: {present(sets[0].experiment.workspace, settings.key(**inputs), pictures, told(settings))}"
