"""What figures of several sweeps share: opening them, and one key for what is drawn of all of them. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.atomic import write_whole
from engine.plots.picture import Picture, save_picture, show
from engine.settings import StepSettings
from engine.steering.figures.measured import Sweep
from engine.store import note_artifact
from engine.workspace import Workspace


def figure_key(settings: StepSettings, sweeps: Sequence[Sweep]) -> str:
    """The behaviours' inputs side by side: what is drawn decides, not what it is called."""
    inputs = {f"{number}.{name}": value for number, one in enumerate(sweeps) for name, value in one.inputs().items()}
    return settings.key(**inputs, **labels_of(settings))


def labels_of(settings: StepSettings) -> dict[str, str]:
    """What a figure calls the models that it compares: their names are no part of the settings' key, but they are drawn."""
    labelled = [one.partition("=")[0] for one in getattr(settings, "models", ())]
    return {"labels": " ".join(labelled)} if labelled else {}


def present(workspace: Workspace, key: str, pictures: Sequence[tuple[str, Picture]], told: str) -> str:
    """Save and show every picture → the files of the first of each, for a summary line. told: what all were drawn of."""
    paths = [save_picture(workspace, stem, key, picture, told) for stem, picture in pictures]
    for _, picture in pictures:
        show(picture, told)
    return ", ".join(workspace.relative(path) for path in paths)


def save_page(workspace: Workspace, stem: str, key: str, content: str) -> Path:
    path = workspace.plots / f"{stem}-{key}.html"
    write_whole(path, content.encode())
    note_artifact(workspace, path, "plots", key)
    return path
