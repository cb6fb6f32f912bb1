"""Vectors and saved activations as arrays, for figures: of one behaviour and model, layer by layer. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError, InputError
from engine.families import Site, SiteKind
from engine.steering.experiment import Experiment, open_experiment
from engine.steering.settings import VectorSettings
from engine.store import load_arrays, read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Vectors:
    """`layers`: [layers, hidden] float64."""

    experiment: Experiment
    header: dict[str, Any]
    layers: NDArray[Any]

    @property
    def behavior(self) -> str:
        return self.experiment.settings.behavior


@dataclass(frozen=True)
class Activations:
    """Of one site: `classes` {class: [examples, hidden] float64}, and each example's id and letter (None: no A/B answer)."""

    classes: dict[str, NDArray[Any]]
    ids: dict[str, list[str]]
    letters: dict[str, list[str | None]]


def open_vectors(settings: VectorSettings, kind: SiteKind) -> Vectors:
    import numpy as np

    experiment = open_experiment(settings)
    header = experiment.vectors_header()
    arrays = load_arrays(experiment.vectors_path)
    rows = [arrays[Site(layer, kind).name] for layer in range(header["layers"])]
    return Vectors(experiment, header, np.stack(rows).astype(np.float64))


def chosen_layers(vectors: Vectors, given: tuple[int, ...], kind: SiteKind) -> tuple[int, ...]:
    """Those given, checked; else the one chosen with the vectors, else the middle one."""
    count = len(vectors.layers)
    for layer in given:
        if not 0 <= layer < count:
            name = vectors.experiment.settings.model
            raise InputError(f"Layer {layer} is out of range: {name} has layers 0 to {count - 1}; give --layer one of them.")
    choices = vectors.header["choices"]
    return given or ((choices[kind]["layer"],) if kind in choices else (count // 2,))


def open_activations(vectors: Vectors, site: Site) -> Activations | None:
    """None where they were not saved."""
    import numpy as np

    path = vectors.experiment.activations_path(site)
    if not path.is_file():
        return None
    notes = read_header(path)["examples"]
    arrays = {name: array.astype(np.float64) for name, array in load_arrays(path).items()}
    return Activations(
        arrays,
        {name: list(notes[name]["ids"]) for name in arrays},
        {name: list(notes[name]["letters"]) for name in arrays},
    )


def no_activations(vectors: Vectors, site: Site) -> EngineError:
    experiment = vectors.experiment
    return EngineError(
        f"There are no activations of '{vectors.behavior}' at {site.name} "
        f"({experiment.workspace.relative(experiment.activations_path(site))}); "
        "run `tiller steer vectors` with the same options and --save-activations."
    )
