"""`tiller steer finetune`: learn a behaviour's letters into the weights: a model that every step takes as `--model`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.atomic import whole_folder, writing
from engine.data import data_hash
from engine.errors import InputError
from engine.identity import PROVENANCE, ModelSource, resolve_model
from engine.progress import Progress, notice
from engine.steering.data import SteeringData, load_data
from engine.steering.tuning.examples import encode, longest, training_items
from engine.steering.tuning.settings import FinetuneSettings
from engine.store import note_artifact
from engine.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from engine.steering.tuning.training import Accuracy, Training


def run(settings: FinetuneSettings) -> str:
    workspace = find_workspace()
    data = load_data(settings.dataset, settings.behavior, settings.contrast, settings.hold_out)
    learned, tested = training_items(data.contrast, settings.behavior), data.test.items
    if not tested:
        raise InputError(f"The data of '{settings.behavior}' have no A/B test items to measure the accuracy on; add some.")
    source = resolve_model(settings.model, settings.revision)
    hashes = {"model": source.identity, "data": data_hash(learned), "test": data_hash(tested)}
    key = settings.key(**hashes)
    folder = workspace.finetuned / key
    alias = workspace.finetuned / settings.name if settings.name is not None else folder
    if alias != folder and alias.exists() and not alias.is_symlink():
        raise InputError(f"{workspace.relative(alias)} is something else already; give another --name.")
    if not (folder / PROVENANCE).is_file():
        _train(settings, workspace, source, data, folder, hashes)
    note_artifact(workspace, folder / PROVENANCE, "finetuned", key)
    if alias != folder:
        _link(alias, key)
    return _summary(workspace, folder, alias)


def _link(alias: Path, key: str) -> None:
    """Point the name at this result, whatever it pointed at before."""
    temporary = alias.with_name(f".{alias.name}.{os.getpid()}.tmp")
    with writing(alias):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(key, target_is_directory=True)
        temporary.replace(alias)


def _train(
    settings: FinetuneSettings,
    workspace: Workspace,
    source: ModelSource,
    data: SteeringData,
    folder: Path,
    hashes: dict[str, str],
) -> None:
    from engine.forward import check_length  # torch, a second or more: only when there is something to compute
    from engine.models import load_source
    from engine.steering.tuning.checkpoint import Checkpoint
    from engine.steering.tuning.methods import Trainable
    from engine.steering.tuning.training import Plan, Training, accuracy

    model = load_source(source, settings.weights, settings.device_map, settings.dtype)
    examples = encode(model.tokenizer, training_items(data.contrast, settings.behavior), settings.sign)
    tests = encode(model.tokenizer, data.test.items, settings.sign)
    check_length(model, max(longest(examples), longest(tests)), "shorten the questions")
    trainable = Trainable(model, settings.method, settings.layer, settings.rank, settings.seed)
    plan = Plan(
        settings.optimizer, settings.learning_rate, settings.epochs, settings.examples, settings.batch_size, settings.seed
    )
    training, checkpoint = Training(model, examples, plan), Checkpoint(_checkpoint_of(folder), settings.checkpoint_minutes)
    before = accuracy(model, tests, settings.batch_size)
    checkpoint.restore(training)
    what = f"finetune {settings.behavior} {settings.sign}"
    with Progress(f"{what}: updates", training.total) as progress:
        progress.advance(len(training.losses))

        def after_update() -> None:
            checkpoint.keep(training)
            progress.advance()

        training.run(after_update)
    after = accuracy(model, tests, settings.batch_size)
    for epoch, loss in enumerate(training.epoch_losses(), 1):
        notice(f"{what}: epoch {epoch}, mean loss {loss:.4f}")
    with whole_folder(folder) as temporary:
        trainable.save(temporary, _named(workspace, source), source.revision)
        record = _record(settings, source, hashes, training, before, after)
        (temporary / PROVENANCE).write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    checkpoint.remove()


def _checkpoint_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.checkpoint.safetensors")


def _named(workspace: Workspace, source: ModelSource) -> str:
    """The base as an adapter names it: a folder of the workspace from its root on, so that the workspace can be moved."""
    folder = Path(source.location)
    return source.name if source.is_demo or not folder.is_dir() else workspace.relative(folder.resolve())


def _record(
    settings: FinetuneSettings,
    source: ModelSource,
    hashes: dict[str, str],
    training: Training,
    before: Accuracy,
    after: Accuracy,
) -> dict[str, Any]:
    return {
        "step": settings.step,
        "version": settings.VERSION,
        "settings": settings.record(),
        "model": source.name,
        "inputs": hashes,
        "examples": len(training.examples),
        "trained_parameters": training.trained,
        "losses": training.losses,
        "epoch_losses": training.epoch_losses(),
        "test": {"before": asdict(before), "after": asdict(after)},
    }


def _summary(workspace: Workspace, folder: Path, alias: Path) -> str:
    """The same words whether it was trained now or is already there."""
    record = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    settings, before, after = record["settings"], record["test"]["before"], record["test"]["after"]
    where = "all layers" if settings["layer"] is None else f"layer {settings['layer']}"
    losses = record["losses"]
    return (
        f"finetune {settings['behavior']} {settings['sign']}: {settings['method']} of {where}, {record['examples']} examples × "
        f"{settings['epochs']}, loss {losses[0]:.3f} → {losses[-1]:.3f}; test accuracy {before['accuracy']:.2f} → "
        f"{after['accuracy']:.2f}, p(letter) {before['probability']:.2f} → {after['probability']:.2f} → "
        f"{workspace.relative(alias)}"
    )
