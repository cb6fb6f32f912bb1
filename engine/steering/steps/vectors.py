"""`tiller steer vectors`: the behaviour's vectors at every layer and sublayer, and the layer chosen on validation data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.families import Site
from engine.progress import Progress
from engine.steering.experiment import Experiment, open_experiment
from engine.steering.settings import VectorSettings
from engine.store import note_artifact, save_tensors

if TYPE_CHECKING:
    from engine.models import LoadedModel
    from engine.steering.layers import LayerChoice
    from engine.steering.vectors import SteeringVector


def run(settings: VectorSettings) -> str:
    experiment = open_experiment(settings)
    path, name = experiment.vectors_path, experiment.workspace.relative(experiment.vectors_path)
    if path.is_file():
        note_artifact(experiment.workspace, path, "vectors", experiment.vectors_key)
        return f"vectors {settings.behavior}: already there, {name}"
    from engine.models import load_source  # torch, a second or more: only when there is something to compute

    model = load_source(experiment.source, settings.quantize, settings.device_map, settings.dtype)
    found = _read(model, experiment)
    choice = _choose_layer(model, found, experiment)
    header = {
        "step": settings.step,
        "version": settings.VERSION,
        "settings": settings.vector_settings().record(),
        "model": experiment.source.identity,
        "data": experiment.data.vectors_hash(),
        "pairs": len(experiment.data.pairs),
        "layers": model.layers,
        "activation_norms": {site.name: vector.activation_norm for site, vector in found.items()},
        "choice": asdict(choice) if choice else None,
    }
    save_tensors(path, {site.name: vector.vector for site, vector in found.items()}, header)
    note_artifact(experiment.workspace, path, "vectors", experiment.vectors_key)
    chosen = f"layer {choice.layer} chosen, rise {choice.rises[choice.layer]:.2f}" if choice else "no layer chosen"
    pairs = f"{len(experiment.data.pairs)} pairs"
    return f"vectors {settings.behavior}: {model.layers} layers × 3 sites from {pairs} ({chosen}) → {name}"


def _read(model: LoadedModel, experiment: Experiment) -> dict[Site, SteeringVector]:
    from engine.chats import encode_chat
    from engine.steering.vectors import mean_differences

    pairs, settings = experiment.data.pairs, experiment.settings
    positive = [encode_chat(model.tokenizer, pair.positive).ids for pair in pairs]
    negative = [encode_chat(model.tokenizer, pair.negative).ids for pair in pairs]
    sites = model.sites("stream", "attn", "mlp")
    with Progress(f"vectors {settings.behavior}: chats", 2 * len(pairs)) as progress:
        return mean_differences(model, positive, negative, sites, settings.batch_size, progress.advance)


def _choose_layer(model: LoadedModel, found: dict[Site, SteeringVector], experiment: Experiment) -> LayerChoice | None:
    """By A/B letters where the data have validation items, else by the demo judge where it knows the behaviour."""
    from engine.demo.data import JUDGE_OF
    from engine.judges.rubric import load_rubric
    from engine.models import load
    from engine.steering.layers import choose_by_judge, choose_by_letters

    stream = {site: vector.vector for site, vector in found.items() if site.kind == "stream"}
    validation, settings = experiment.data.validation, experiment.settings
    if validation.items:
        return choose_by_letters(model, stream, validation, settings.batch_size)
    if validation.prompts and settings.behavior in JUDGE_OF:
        rubric = load_rubric(f"demo.{JUDGE_OF[settings.behavior]}")
        return choose_by_judge(model, stream, validation, load("demo"), rubric, settings.batch_size)
    return None
