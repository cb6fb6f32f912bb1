"""`tiller steer vectors`: behaviours' vectors at every layer and sublayer, and the layers chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.data import data_hash
from engine.families import Site, SiteKind
from engine.progress import Progress
from engine.steering.experiment import Experiment, open_experiment
from engine.steering.settings import MakeVectorsSettings
from engine.store import note_artifact, read_header, save_tensors

if TYPE_CHECKING:
    from engine.models import LoadedModel
    from engine.steering.layers import Choices
    from engine.steering.reading import Read

KINDS: tuple[SiteKind, ...] = ("stream", "attn", "mlp")


def run(settings: MakeVectorsSettings) -> str:
    """Every behaviour, with one load of the model where anything is to be computed."""
    experiments = [open_experiment(each) for each in settings.each()]
    missing = [one for one in experiments if not _there(one, settings.save_activations)]
    made = _make(missing, settings.save_activations) if missing else {}
    return "\n".join(made.get(one.vectors_key) or _found(one) for one in experiments)


def _there(experiment: Experiment, with_activations: bool) -> bool:
    if not experiment.vectors_path.is_file():
        return False
    layers = read_header(experiment.vectors_path)["layers"] if with_activations else 0
    return all(experiment.activations_path(Site(layer, kind)).is_file() for layer in range(layers) for kind in KINDS)


def _found(experiment: Experiment) -> str:
    path = experiment.vectors_path
    note_artifact(experiment.workspace, path, "vectors", experiment.vectors_key)
    return f"vectors {experiment.settings.behavior}: already there, {experiment.workspace.relative(path)}"


def _make(experiments: Sequence[Experiment], keep: bool) -> dict[str, str]:
    """→ the summary line of each, by the key of its vectors."""
    from engine.models import load_source  # torch, a second or more: only when there is something to compute
    from engine.steering.logit import check_letters
    from engine.steering.reading import read_group

    settings = experiments[0].settings
    if settings.logit:
        for experiment in experiments:
            check_letters(experiment.data.contrast)
    model = load_source(experiments[0].source, settings.quantize, settings.device_map, settings.dtype)
    lines = {}
    for group in _groups(experiments):
        names = ", ".join(one.settings.behavior for one in group)
        contrasts = {one.vectors_key: one.data.contrast for one in group}
        classes, target = group[0].data.contrast.classes, group[0].data.contrast.target
        total = len(classes[target]) if settings.logit else sum(map(len, classes.values()))
        with Progress(f"vectors {names}: chats", total) as progress:
            read = read_group(
                model, contrasts, model.sites(*KINDS), settings.logit, keep, settings.batch_size, progress.advance
            )
        for experiment in group:
            lines[experiment.vectors_key] = _write(model, experiment, read[experiment.vectors_key])
    return lines


def _groups(experiments: Sequence[Experiment]) -> list[list[Experiment]]:
    """Those with the same classes together (the voices of one data set), so that their chats are read once."""
    groups: dict[Any, dict[str, Experiment]] = {}
    for one in experiments:
        contrast = one.data.contrast
        chats = tuple((name, data_hash(examples)) for name, examples in contrast.classes.items())
        alike = (chats, contrast.target if one.settings.logit else None)
        groups.setdefault(alike, {})[one.vectors_key] = one
    return [list(group.values()) for group in groups.values()]


def _write(model: LoadedModel, experiment: Experiment, read: Read) -> str:
    """Activations first, so that vectors which are there are never without them."""
    settings, contrast = experiment.settings, experiment.data.contrast
    sizes = {name: len(examples) for name, examples in contrast.classes.items()}
    header: dict[str, Any] = {
        "step": settings.step,
        "version": settings.VERSION,
        "settings": settings.vector_settings().record(),
        "model": experiment.source.identity,
        "data": experiment.data.vectors_hash(),
        "classes": sizes,
        "target": contrast.target,
        "layers": model.layers,
        "hidden_size": model.hidden_size,
    }
    for site, classes in read.states.items():
        _write_states(experiment, site, classes, header, read)
    path, name = experiment.vectors_path, experiment.workspace.relative(experiment.vectors_path)
    if path.is_file():
        return f"vectors {settings.behavior}: already there, {name}; activations added at {len(read.states)} sites"
    choices = _choose(model, experiment, read)
    from engine.steering.vectors import SHUFFLES

    found = read.vectors
    header |= {
        "examples": sum(sizes.values()),
        "shuffled": SHUFFLES,
        "activation_norms": {site.name: vector.activation_norm for site, vector in found.items()},
        "norms": {site.name: float(vector.vector.double().norm()) for site, vector in found.items()},
        "choice": asdict(choices["stream"]) if choices else None,
        "choices": {kind: asdict(choice) for kind, choice in choices.items()},
        "log_odds": read.log_odds,
    }
    tensors = {name: tensor for site, vector in found.items() for name, tensor in vector.tensors(site).items()}
    save_tensors(path, tensors, header)
    note_artifact(experiment.workspace, path, "vectors", experiment.vectors_key)
    chosen = "no layer chosen"
    if choices:
        choice = choices["stream"]
        chosen = f"layer {choice.layer} chosen, rise {choice.rises[choice.layer]:.2f}"
    kept = ", activations kept" if read.states else ""
    examples = f"{read.examples} examples"
    return f"vectors {settings.behavior}: {model.layers} layers × 3 sites from {examples} ({chosen}{kept}) → {name}"


def _write_states(
    experiment: Experiment, site: Site, classes: Mapping[str, Any], header: Mapping[str, Any], read: Read
) -> None:
    from engine.steering.activations import example_notes, save_activations

    notes = example_notes(experiment.data.contrast, list(classes))
    path = experiment.activations_path(site)
    told = {"site": site.name, "vectors": experiment.vectors_key, "examples": notes, "log_odds": read.log_odds}
    save_activations(experiment, site, classes, {**header, **told})
    note_artifact(experiment.workspace, path, "activations", experiment.vectors_key)


def _choose(model: LoadedModel, experiment: Experiment, read: Read) -> Choices:
    """By A/B letters where the data have validation items, else by the demo judge where it knows the behaviour."""
    from engine.demo.data import JUDGE_OF
    from engine.judges.rubric import load_rubric
    from engine.models import load
    from engine.steering.layers import choose_by_judge, choose_by_letters

    vectors = {site: found.vector for site, found in read.vectors.items()}
    validation, settings = experiment.data.validation, experiment.settings
    if validation.items:
        return choose_by_letters(model, vectors, validation, settings.batch_size)
    if validation.prompts and settings.dataset == "demo" and settings.behavior in JUDGE_OF:
        rubric = load_rubric(f"demo.{JUDGE_OF[settings.behavior]}")
        stream = {site: vector for site, vector in vectors.items() if site.kind == "stream"}  # answers cost more than letters
        return choose_by_judge(model, stream, validation, load("demo"), rubric, settings.batch_size)
    return {}
