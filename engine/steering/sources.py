"""Which vectors a sweep steers with: the behaviour's own, another model's, or those in a file; and how long they are.

Owns finding them, by key or by path, and reading from headers what can be told without their tensors. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from engine.families import Site, SiteKind
from engine.steering.settings import ApplySettings
from engine.store import read_header
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.steering.experiment import Experiment


@dataclass(frozen=True, slots=True)
class VectorSource:
    """A vectors file. `key` stands for its content in the cells' keys; `own`: of the very model and data of the experiment."""

    path: Path
    key: str
    header: Mapping[str, Any]
    own: bool

    @property
    def norms(self) -> Mapping[str, float]:
        """{site name: ‖v‖} of every site that has a vector."""
        return self.header["norms"]

    def layers(self, kinds: Collection[SiteKind]) -> tuple[int, ...]:
        """The layers with a vector at each of these kinds of sites."""
        found = ({int(name.partition(".")[2]) for name in self.norms if name.startswith(f"{kind}.")} for kind in kinds)
        return tuple(sorted(set.intersection(*found)))

    def check(self, site: Site, shuffled: int | None) -> None:
        """Refuse a site that has no vector here, or no control vector of that seed with shuffled labels."""
        if site.name not in self.norms:
            layers = self.layers((site.kind,))
            has = f"of {site.kind} it has layers {', '.join(map(str, layers))}" if layers else f"it has none of {site.kind}"
            raise InputError(
                f"{self.path.name} has no vector at {site.name}, {has}; give --layer, --vector-layer or --site accordingly."
            )
        if shuffled is not None and shuffled >= self.header["shuffled"]:
            seeds = f"seeds 0 to {self.header['shuffled'] - 1}" if self.header["shuffled"] else "none"
            raise InputError(
                f"{self.path.name} has control vectors with shuffled labels of {seeds}, not of {shuffled}; give --control-seed "
                "one of them, or --control random."
            )


def open_source(experiment: Experiment, settings: ApplySettings) -> VectorSource:
    """The vectors that the settings name; the error says how to make those that are missing."""
    if settings.vectors_file is not None:
        return vectors_file(settings.vectors_file, experiment.workspace)
    if settings.vector_model is not None:
        other = _of_vector_model(experiment, settings)
        own = other.vectors_key == experiment.vectors_key
        return VectorSource(other.vectors_path, other.vectors_key, other.vectors_header(), own)
    return VectorSource(experiment.vectors_path, experiment.vectors_key, experiment.vectors_header(), True)


def mean_norms(experiment: Experiment, settings: ApplySettings) -> tuple[dict[str, float], str] | None:
    """Of the behaviours in `--normalise-over`: {site name: mean ‖v‖} of their vectors (§2.4), and the hash of their keys."""
    if not settings.normalise_over:
        return None
    home = _of_vector_model(experiment, settings) if settings.vector_model is not None else experiment
    others = [home.of_behavior(behavior) for behavior in sorted(set(settings.normalise_over))]
    headers = [other.vectors_header() for other in others]
    norms = {name: fmean(header["norms"][name] for header in headers) for name in headers[0]["norms"]}
    return norms, _short(" ".join(other.vectors_key for other in others).encode())


def activation_norms(experiment: Experiment) -> Mapping[str, float] | None:
    """{site name: mean ‖h‖} of the steered model on the contrast's chats, None where it has not been read."""
    return experiment.vectors_header()["activation_norms"] if experiment.vectors_path.is_file() else None


def _of_vector_model(experiment: Experiment, settings: ApplySettings) -> Experiment:
    assert settings.vector_model is not None
    return experiment.of_model(settings.vector_model)


def vectors_file(name: str, workspace: Workspace) -> VectorSource:
    """The vectors file of that path, from here or from the workspace's root."""
    path = Path(name).expanduser()
    if not path.is_file():
        inside = workspace.root / path
        if not inside.is_file():
            raise InputError(f"There is no vectors file {path}; `tiller steer import` names the file that it makes.")
        path = inside
    header = read_header(path)
    if not {"norms", "hidden_size"} <= header.keys():
        raise InputError(f"{path} holds no steering vectors; give --vectors-file one that `tiller steer` wrote.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return VectorSource(path, f"sha256:{digest[:16]}", header, False)


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
