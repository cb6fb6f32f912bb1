"""`tiller steer vectors`: the behaviour's vectors at every layer and sublayer, and the layer chosen on validation data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.families import Site
from engine.progress import Progress
from engine.steering.experiment import Experiment, open_experiment
from engine.steering.settings import MakeVectorsSettings
from engine.store import note_artifact, save_tensors

if TYPE_CHECKING:
    from engine.models import LoadedModel
    from engine.steering.layers import LayerChoice
    from engine.steering.vectors import SteeringVector


def run(settings: MakeVectorsSettings) -> str:
    """Every behaviour in turn, with one load of the model where anything is to be computed."""
    experiments = [open_experiment(each) for each in settings.each()]
    models: list[LoadedModel] = []
    return "\n".join(_vectors(experiment, models) for experiment in experiments)


def _vectors(experiment: Experiment, models: list[LoadedModel]) -> str:
    settings = experiment.settings
    path, name = experiment.vectors_path, experiment.workspace.relative(experiment.vectors_path)
    if path.is_file():
        note_artifact(experiment.workspace, path, "vectors", experiment.vectors_key)
        return f"vectors {settings.behavior}: already there, {name}"
    from engine.models import load_source  # torch, a second or more: only when there is something to compute

    if not models:
        models.append(load_source(experiment.source, settings.quantize, settings.device_map, settings.dtype))
    model = models[0]
    found = _read(model, experiment)
    choice = _choose_layer(model, found, experiment)
    header = {
        "step": settings.step,
        "version": settings.VERSION,
        "settings": settings.vector_settings().record(),
        "model": experiment.source.identity,
        "data": experiment.data.vectors_hash(),
        "examples": len(experiment.data.contrast.examples()),
        "layers": model.layers,
        "activation_norms": {site.name: vector.activation_norm for site, vector in found.items()},
        "choice": asdict(choice) if choice else None,
    }
    save_tensors(path, {site.name: vector.vector for site, vector in found.items()}, header)
    note_artifact(experiment.workspace, path, "vectors", experiment.vectors_key)
    chosen = f"layer {choice.layer} chosen, rise {choice.rises[choice.layer]:.2f}" if choice else "no layer chosen"
    examples = f"{len(experiment.data.contrast.examples())} examples"
    return f"vectors {settings.behavior}: {model.layers} layers × 3 sites from {examples} ({chosen}) → {name}"


def _read(model: LoadedModel, experiment: Experiment) -> dict[Site, SteeringVector]:
    from engine.chats import encode_chat
    from engine.steering.vectors import mean_differences

    contrast, settings = experiment.data.contrast, experiment.settings
    positive, negative = (
        [encode_chat(model.tokenizer, example.chat).ids for example in contrast.classes[name]]
        for name in sorted(contrast.classes, key=lambda name: name != contrast.target)
    )
    sites = model.sites("stream", "attn", "mlp")
    with Progress(f"vectors {settings.behavior}: chats", len(contrast.examples())) as progress:
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
