"""What the steering steps share: which workspace, model, data, vectors file and cells a step's settings mean.

Owns how steps find each other's artifacts by key. No torch, so a step that finds its work done ends at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError, InputError
from engine.families import Site, SiteKind
from engine.identity import ModelSource, resolve_model
from engine.steering.data import SteeringData, load_data
from engine.steering.settings import ApplySettings, VectorSettings
from engine.store import read_header
from engine.workspace import Workspace, find_workspace


@dataclass(frozen=True, slots=True)
class Experiment:
    """One behaviour of one model in one workspace."""

    workspace: Workspace
    source: ModelSource
    data: SteeringData
    settings: VectorSettings
    vectors_key: str

    @property
    def vectors_path(self) -> Path:
        return self.workspace.vectors / f"{self.vectors_key}.safetensors"

    def activations_path(self, site: Site) -> Path:
        """Where `tiller steer vectors --save-activations` keeps the states of one site."""
        return self.workspace.artifacts / "activations" / self.vectors_key / f"{site.name}.safetensors"

    def vectors_header(self) -> dict[str, Any]:
        """What the vectors step recorded with the vectors."""
        if not self.vectors_path.is_file():
            raise EngineError(
                f"There are no vectors of '{self.settings.behavior}' for {self.settings.model} with these settings "
                f"({self.workspace.relative(self.vectors_path)}); run `tiller steer vectors` with the same options first."
            )
        return read_header(self.vectors_path)


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of a sweep."""

    key: str
    settings: ApplySettings
    inputs: dict[str, str]

    @property
    def multiplier(self) -> float:
        return self.settings.multipliers[0]

    @property
    def layers(self) -> tuple[int, ...]:
        return self.settings.layer

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where the cell steers: one site, or several at once."""
        kinds: tuple[SiteKind, ...] = ("attn", "mlp") if self.settings.site == "sublayers" else (self.settings.site,)
        return tuple(Site(layer, kind) for layer in self.layers for kind in kinds)

    @property
    def control_seed(self) -> int | None:
        """The seed of the control vector that is added, None for the behaviour's own."""
        return self.settings.control_seed[0] if self.settings.control != "none" else None


def open_experiment(settings: VectorSettings) -> Experiment:
    """Find everything the settings name, before anything is computed or written."""
    workspace = find_workspace()
    data = load_data(settings.dataset, settings.behavior, settings.contrast, settings.hold_out)
    source = resolve_model(settings.model, settings.revision)
    key = settings.vector_settings().key(model=source.identity, data=data.vectors_hash())
    return Experiment(workspace, source, data, settings, key)


def cells_of(experiment: Experiment, settings: ApplySettings, header: dict[str, Any]) -> list[Cell]:
    """The sweep's cells, with the chosen layer filled in where none is given."""
    every = tuple(range(header["layers"])) if settings.together else ()
    layers = settings.layer or every or (_chosen_layer(experiment, settings, header),)
    for layer in layers:
        if not 0 <= layer < header["layers"]:
            last = header["layers"] - 1
            raise InputError(
                f"Layer {layer} is out of range: {settings.model} has layers 0 to {last}; give --layer one of them."
            )
    inputs = {
        "model": experiment.source.identity,
        "data": experiment.data.test.hash(),
        "vectors": experiment.vectors_key,
    }
    points = settings.model_copy(update={"layer": layers}).cells()
    return [Cell(point.key(**inputs), point, inputs) for point in points]


def all_cells(experiment: Experiment, settings: ApplySettings, header: dict[str, Any]) -> tuple[list[Cell], list[Cell]]:
    """What is judged and drawn: the cells of the vector itself and, with a control, those of the control vectors."""
    own = cells_of(experiment, settings.model_copy(update={"control": "none"}), header)
    return own, cells_of(experiment, settings, header) if settings.control != "none" else []


def describe(cells: Sequence[Cell]) -> str:
    """The sweep in a few words, for summary lines."""
    multipliers = len({cell.multiplier for cell in cells})
    layers = sorted({layer for cell in cells for layer in cell.layers})
    seeds = {cell.control_seed for cell in cells} - {None}
    control = cells[0].settings.control
    what = f"{len(seeds)} {control} vector{'s' if len(seeds) > 1 else ''}" if seeds else "the vector"
    where = f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}"
    return f"{what} at {where} × {multipliers} multiplier{'s' if multipliers > 1 else ''}"


def _chosen_layer(experiment: Experiment, settings: ApplySettings, header: dict[str, Any]) -> int:
    choice = header["choice"]
    if choice is None:
        reason = "the data have no validation questions to choose one on"
    elif settings.site != "stream":
        reason = "a layer is chosen for the stream only"
    else:
        return choice["layer"]
    raise InputError(f"Which layer to steer for '{experiment.settings.behavior}' is open: {reason}; give --layer.")
