"""What the cells of a sweep do to the states: their multiples of vectors, with the edits before them.

Owns a vector's way from its file to the model: whose it is (the behaviour's, a control), which layer's, how long, and how long
that is beside the states it is added to. It reads the files that `sources` names, and knows no questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.edits import Arm
from engine.errors import InputError
from engine.families import Site
from engine.models import LoadedModel
from engine.sampling import row_seed
from engine.steering.editing.making import centred_label, make_edit
from engine.steering.experiment import Cell, Experiment
from engine.steering.options import needs_means
from engine.steering.settings import ApplySettings
from engine.steering.sources import activation_norms, mean_norms, open_source
from engine.steering.vectors import random_like, with_norm
from engine.store import load_tensors

if TYPE_CHECKING:
    from engine.steering.editing.editors import Editors


@dataclass(frozen=True)
class Arms:
    """Everything the arms of a sweep are made from.

    `tensors`: of the vectors file; `means`: of the experiment's own, which has the mean states of the steered model;
    `lengths`: {site name: ‖v‖} that vectors of that site are given, where they are; `norms`: {site name: mean ‖h‖} of the
    steered model, where they are known; `sizes`: examples of each class.
    """

    tensors: Mapping[str, Tensor]
    means: Mapping[str, Tensor]
    lengths: Mapping[str, float] | None
    norms: Mapping[str, float] | None
    editors: Editors | None
    target: str
    sizes: Mapping[str, int]

    def arm(self, cell: Cell, label: str | None = None) -> Arm:
        """What a cell does, site by site; `label` is the class of what is asked, which the oracle edit must know."""
        settings = cell.settings
        known = centred_label(label, self.target, self.sizes) if settings.edit == "oracle" else None
        edits = {}
        for site in cell.sites:
            vector = self.vector(cell, site)
            mean = self.means.get(f"{site.name}/mean", torch.zeros_like(vector))  # cells exist only where it is there or unused
            edits[site] = make_edit(
                settings.edit, site, cell.multiplier, vector, mean, self.editors, known, settings.legacy_edits
            )
        return edits

    def vector(self, cell: Cell, site: Site) -> Tensor:
        """What a multiplier of 1 adds at `site`."""
        settings, source = cell.settings, cell.vector_site(site)
        if settings.control == "shuffled":  # shorter by nature: a shorter push would have less effect whatever its direction
            own = float(self.tensors[source.name].double().norm())
            vector = with_norm(self.tensors[f"{source.name}/shuffled/{cell.control_seed}"], own, source)
        elif cell.control_seed is not None:
            vector = random_like(self.tensors[source.name], _control_stream(cell.control_seed, site))
        else:
            vector = self.tensors[source.name]
        if self.lengths is None:
            return vector
        return with_norm(vector, self.lengths[(site if settings.scale == "activation" else source).name], source)

    def relative_norms(self, cell: Cell) -> dict[str, float] | None:
        """‖m·v‖ / mean ‖h‖ at every site: how hard the cell pushes. None where it does not, or no one knows."""
        if self.norms is None or not cell.sites:
            return None
        multiplier = abs(cell.multiplier)
        return {site.name: multiplier * float(self.vector(cell, site).norm()) / self.norms[site.name] for site in cell.sites}

    def check(self, model: LoadedModel, cells: Sequence[Cell]) -> None:
        """Refuse vectors of another width than the model's, and sites that it does not have."""
        for site in sorted({site for cell in cells for site in cell.sites}):
            model.module(site)
        width = next(iter(self.tensors.values())).shape[-1]
        if width != model.hidden_size:
            raise InputError(
                f"The vectors are {width} wide, but {model.name} is {model.hidden_size} wide; "
                "give vectors that were made on a model of the same width."
            )


def open_arms(experiment: Experiment, settings: ApplySettings) -> Arms:
    """Read what the settings name; see `experiment.cells_of` for the cells."""
    source = open_source(experiment, settings)
    norms = activation_norms(experiment)
    over = mean_norms(experiment, settings)
    lengths = norms if settings.scale == "activation" else over[0] if over else None
    editors = None
    if settings.edit != "none":
        from engine.steering.editing.editors import open_editors

        file = open_editors(experiment, settings)
        editors = file.load() if file else None
    contrast = experiment.data.contrast
    sizes = {name: len(examples) for name, examples in contrast.classes.items()}
    tensors = load_tensors(source.path)
    means = tensors if source.own else load_tensors(experiment.vectors_path) if needs_means(settings) else {}
    return Arms(tensors, means, lengths, norms, editors, contrast.target, sizes)


def _control_stream(seed: int, site: Site) -> int:
    """A seed of its own for each site, so that a control at two layers is not one vector twice."""
    return row_seed(seed, site.name, 0, 0.0)
