"""`tiller steer show tokens`: a prompt and the model's own answers, coloured by how far each token lies along the vector."""

from __future__ import annotations

from engine.steering.experiment import open_experiment
from engine.steering.figures.settings import TokensSettings
from engine.steering.figures.several import present
from engine.steering.figures.told import told


def run(settings: TokensSettings) -> str:
    experiment = open_experiment(settings)
    experiment.vectors_header()
    from engine.steering.figures.look import look  # torch: nothing of it is recorded, so there is always something to compute
    from engine.steering.figures.tokens import token_chips

    chips = token_chips(look(experiment, settings, settings.max_new_tokens), settings)
    key = settings.key(model=experiment.source.identity, vectors=experiment.vectors_key)
    return f"show tokens: {present(experiment.workspace, key, [(f'tokens-{settings.behavior}', chips)], told(settings))}"
