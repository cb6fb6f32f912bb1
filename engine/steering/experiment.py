"""What the steering steps share: which workspace, model, data, vectors file and cells a step's settings mean.

Owns how steps find each other's artifacts by key, and what goes into a cell's key: everything that decides its results. No
torch, so a step that finds its work done ends at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError, InputError
from engine.families import Site, SiteKind
from engine.identity import ModelSource, resolve_model
from engine.steering.data import SteeringData, load_data, system_line
from engine.steering.options import check_options, needs_means
from engine.steering.settings import ApplySettings, SiteChoice, VectorSettings
from engine.steering.sources import VectorSource, mean_norms, open_source
from engine.store import read_header
from engine.workspace import Workspace, find_workspace

_KINDS: dict[SiteChoice, tuple[SiteKind, ...]] = {
    "stream": ("stream",),
    "attn": ("attn",),
    "mlp": ("mlp",),
    "sublayers": ("attn", "mlp"),
}
_UNSTEERED = (
    *("model", "revision", "quantize", "dtype", "device_map", "dataset", "batch_size", "behavior", "system_prompt"),
    *("max_new_tokens", "temperature", "top_k", "top_p", "seed", "samples"),
)
"""The settings that an unsteered model knows of."""


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
            behavior, model = self.settings.behavior, self.settings.model
            raise EngineError(
                f"There are no vectors of '{behavior}' for {model} with these settings "
                f"({self.workspace.relative(self.vectors_path)}); run `tiller steer vectors --behavior {behavior} "
                f"--model {model}` with the same other options first."
            )
        return read_header(self.vectors_path)

    def of_behavior(self, behavior: str) -> Experiment:
        """The same of another behaviour."""
        return open_experiment(self.settings.vector_settings().model_copy(update={"behavior": behavior}))

    def of_model(self, model: str) -> Experiment:
        """The same of another model, at its newest revision."""
        return open_experiment(self.settings.vector_settings().model_copy(update={"model": model, "revision": None}))


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of a sweep. Where it leaves the model as it is (`leaves_alone`), its key is that of `unsteered`, whatever else
    the sweep says: points of many sweeps share that one cell's records."""

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
        return tuple(Site(layer, kind) for layer in self.layers for kind in _KINDS[self.settings.site])

    @property
    def control_seed(self) -> int | None:
        """The seed of the control vector that is added, None for the behaviour's own."""
        return self.settings.control_seed[0] if self.settings.control != "none" else None

    def vector_site(self, site: Site) -> Site:
        """Whose vector is added at `site`."""
        return site if self.settings.vector_layer is None else Site(self.settings.vector_layer, site.kind)


def open_experiment(settings: VectorSettings) -> Experiment:
    """Find everything the settings name, before anything is computed or written."""
    workspace = find_workspace()
    data = load_data(settings.dataset, settings.behavior, settings.contrast, settings.hold_out)
    source = resolve_model(settings.model, settings.revision)
    key = settings.vector_settings().key(model=source.identity, data=data.vectors_hash())
    return Experiment(workspace, source, data, settings, key)


def cells_of(experiment: Experiment, settings: ApplySettings) -> list[Cell]:
    """The sweep's points, with the chosen layer filled in where none is given. What is said twice is one point."""
    check_options(settings)
    source = open_source(experiment, settings)
    filled = settings.model_copy(update={"layer": _layers(experiment, settings, source)})
    inputs = _inputs(experiment, settings, source)
    alone = unsteered(experiment, settings).key
    cells = [Cell(alone if _leaves_alone(point) else point.key(**inputs), point, inputs) for point in _points(filled)]
    for cell in cells:
        for site in cell.sites:
            source.check(cell.vector_site(site), cell.control_seed if settings.control == "shuffled" else None)
    return list({(cell.key, cell.layers): cell for cell in cells}.values())


def unsteered(experiment: Experiment, settings: ApplySettings) -> Cell:
    """The model as it is, asked the same: one cell for all sweeps of a behaviour that load the model and draw answers alike,
    with the same persona line. It knows no vectors, layers, edits or positions."""
    known = {name: getattr(settings, name) for name in _UNSTEERED}
    point = ApplySettings(**known).model_copy(update={"multipliers": (0.0,), "control_seed": ()})
    inputs = _asked_of(experiment, settings)
    return Cell(point.key(**inputs), point, inputs)


def measured_cells(experiment: Experiment, settings: ApplySettings) -> list[Cell]:
    """What has records of its own: the sweep's cells, and the unsteered model beside them, each once."""
    alone = unsteered(experiment, settings)
    return list({cell.key: cell for cell in (*cells_of(experiment, settings), alone)}.values())


def _leaves_alone(point: ApplySettings) -> bool:
    return point.edit == "none" and point.multipliers[0] == 0


def all_cells(experiment: Experiment, settings: ApplySettings) -> tuple[list[Cell], list[Cell]]:
    """What is judged and drawn: the cells of the vector itself and, with a control, those of the control vectors."""
    own = cells_of(experiment, settings.model_copy(update={"control": "none"}))
    return own, cells_of(experiment, settings) if settings.control != "none" else []


def describe(cells: Sequence[Cell]) -> str:
    """The sweep in a few words, for summary lines."""
    settings = cells[0].settings
    multipliers = len({cell.multiplier for cell in cells})
    layers = sorted({layer for cell in cells for layer in cell.layers})
    seeds = {cell.control_seed for cell in cells} - {None}
    what = f"{len(seeds)} {settings.control} vector{'s' if len(seeds) > 1 else ''}" if seeds else "the vector"
    edit = "" if settings.edit == "none" else f" with {settings.edit}"
    place = "" if settings.site == "stream" else f"{settings.site} of "
    together = " together" if settings.together else ""
    where = f"{place}layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}{together}"
    return f"{what}{edit} at {where} × {multipliers} multiplier{'s' if multipliers > 1 else ''}"


def _layers(experiment: Experiment, settings: ApplySettings, source: VectorSource) -> tuple[int, ...]:
    """Those given; else all of a sweep that steers them together, the chosen one of another."""
    own = experiment.vectors_header() if experiment.vectors_path.is_file() else None
    for layer in (*settings.layer, *([settings.vector_layer] if source.own and settings.vector_layer is not None else [])):
        if layer < 0 or (own is not None and layer >= own["layers"]):
            known = f"layers 0 to {own['layers'] - 1}" if own else "layers from 0 on"
            raise InputError(f"Layer {layer} is out of range: {settings.model} has {known}; give --layer one of them.")
    if settings.layer:
        return tuple(dict.fromkeys(settings.layer))
    with_vectors = source.layers(_KINDS[settings.site])
    if settings.together:
        everywhere = own is not None and settings.vector_layer is not None
        return tuple(range(own["layers"])) if own is not None and everywhere else with_vectors
    if not source.own and len(with_vectors) == 1:
        return with_vectors
    return (_chosen_layer(experiment, settings, own),)


def _chosen_layer(experiment: Experiment, settings: ApplySettings, own: dict[str, Any] | None) -> int:
    if own is None:
        reason = "it is chosen with the model's own vectors, which are not there"
    elif not own["choices"]:
        reason = "the data have no validation questions to choose one on"
    elif settings.site not in own["choices"]:
        reason = f"none was chosen for {settings.site}, only for {', '.join(own['choices'])}"
    else:
        return own["choices"][settings.site]["layer"]
    raise InputError(f"Which layer to steer for '{experiment.settings.behavior}' is open: {reason}; give --layer.")


def _points(settings: ApplySettings) -> Iterator[ApplySettings]:
    """The sweep's points, each said in one way only."""
    for point in settings.cells():
        layers = tuple(sorted(point.layer))
        alike: dict[str, Any] = {"layer": layers, "normalise_over": tuple(sorted(set(point.normalise_over)))}
        if len(layers) == 1:
            alike["together"] = False
        if layers == (point.vector_layer,):
            alike["vector_layer"] = None
        yield point.model_copy(update=alike)


def _asked_of(experiment: Experiment, settings: ApplySettings) -> dict[str, str]:
    """The hashes of what is asked, and of which model."""
    inputs = {"model": experiment.source.identity, "data": experiment.data.test.hash()}
    if settings.system_prompt != "none":
        line = system_line(settings.dataset, settings.behavior, settings.system_prompt, experiment.workspace.root)
        inputs["system"] = hashlib.sha256(line.encode()).hexdigest()[:16]
    return inputs


def _inputs(experiment: Experiment, settings: ApplySettings, source: VectorSource) -> dict[str, str]:
    """The hashes of everything that the settings name by place, or leave to be found."""
    inputs = _asked_of(experiment, settings) | {"vectors": source.key}
    if settings.edit != "none":
        from engine.steering.editing.editors import open_editors

        editors = open_editors(experiment, settings)
        if editors is not None:
            inputs["editors"] = editors.key
    norms = mean_norms(experiment, settings)
    if norms is not None:
        inputs["normalise_over"] = norms[1]
    if not source.own and (settings.scale == "activation" or needs_means(settings)):
        experiment.vectors_header()  # which has the norms and means of this model's states
        inputs["states"] = experiment.vectors_key
    return inputs
