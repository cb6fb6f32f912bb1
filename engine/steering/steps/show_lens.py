"""`tiller steer show lens`: what the model would say at one position after every step of every block."""

from __future__ import annotations

from engine.steering.experiment import open_experiment
from engine.steering.figures.settings import LensSettings
from engine.steering.figures.several import present
from engine.steering.figures.told import told


def run(settings: LensSettings) -> str:
    experiment = open_experiment(settings)
    experiment.vectors_header()
    from engine.steering.figures.lens import lens_picture
    from engine.steering.figures.look import look  # torch: nothing of it is recorded, so there is always something to compute

    picture = lens_picture(look(experiment, settings, 0), settings)
    key = settings.key(model=experiment.source.identity, vectors=experiment.vectors_key)
    return f"show lens: {present(experiment.workspace, key, [(f'lens-{settings.behavior}', picture)], told(settings))}"
