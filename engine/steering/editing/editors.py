"""Editors on disk: `artifacts/editors/<key>/<part>.safetensors`, found by key from a sweep's settings.

Owns the names and the contents of these files. LEACE, quad and quadlda have a part for each site, scrub has one for each
multiplier. No torch until a part is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from engine.families import Site, SiteKind
from engine.settings import canonical_number
from engine.steering.editing.settings import EditorSettings, editor_settings
from engine.steering.settings import ApplySettings, SiteChoice
from engine.store import load_tensors, read_header, save_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from engine.edits import Slide, Transport
    from engine.steering.editing.quadratic import Pair
    from engine.steering.editing.scrub import Chain
    from engine.steering.experiment import Experiment


@dataclass(frozen=True, slots=True)
class EditorsFile:
    """The editors of one behaviour by one method. `key` stands for them in the keys of cells."""

    experiment: Experiment
    settings: EditorSettings
    key: str

    def site(self, site: Site) -> Path:
        return self.folder / f"{site.name}.safetensors"

    def multiplier(self, multiplier: float) -> Path:
        return self.folder / f"multiplier={canonical_number(multiplier)}.safetensors"

    @property
    def folder(self) -> Path:
        return self.experiment.workspace.artifacts / "editors" / self.key

    def load(self) -> Editors:
        """Each part is read when it is first asked for."""
        return Editors(self)


def editors_file(experiment: Experiment, settings: EditorSettings) -> EditorsFile:
    return EditorsFile(experiment, settings, settings.key(vectors=experiment.vectors_key))


def open_editors(experiment: Experiment, settings: ApplySettings) -> EditorsFile | None:
    """The editors that a sweep needs; None if its edit needs none. Parts that are missing are told with the mend."""
    wanted = editor_settings(settings)
    if wanted is None:
        return None
    found = editors_file(experiment, wanted)
    if wanted.method == "scrub":
        parts = [found.multiplier(multiplier) for multiplier in settings.multipliers]
        mend = f"--multipliers {' '.join(map(canonical_number, settings.multipliers))}"
    else:
        kinds: tuple[SiteKind, ...] = ("attn", "mlp") if settings.site == "sublayers" else (settings.site,)
        header = experiment.vectors_header()
        layers = settings.layer or (range(header["layers"]) if settings.together else _chosen(header, settings.site))
        parts = [found.site(Site(layer, kind)) for layer in layers for kind in kinds if 0 <= layer < header["layers"]]
        mend = f"--site {' '.join(kinds)}"
    missing = [part for part in parts if not part.is_file()]
    if missing:
        raise EngineError(
            f"There are no {wanted.method} editors of '{wanted.behavior}' for {wanted.model} with these settings "
            f"({experiment.workspace.relative(missing[0])}); run `tiller steer fit --behavior {wanted.behavior} "
            f"--model {wanted.model} --method {wanted.method} {mend}` with the same other options first."
        )
    return found


def _chosen(header: Mapping[str, Any], site: SiteChoice) -> Sequence[int]:
    """The layer chosen with the vectors; those who need an open choice refuse it."""
    choice = header["choices"].get(site)
    return () if choice is None else (choice["layer"],)


class Editors:
    """What edits learnt, by site."""

    def __init__(self, file: EditorsFile) -> None:
        self._file = file
        self._functionals: dict[Site, Tensor] = {}
        self._pairs: dict[Site, Pair] = {}
        self._chains: dict[float, dict[Site, Slide]] = {}

    def functional(self, site: Site) -> Tensor:
        """LEACE's g, [hidden]."""
        if site not in self._functionals:
            self._functionals[site] = load_tensors(self._file.site(site))["functional"]
        return self._functionals[site]

    def transport(self, site: Site, up: bool) -> Transport:
        """quad's and quadlda's map: up, to the target class, or down. Multipliers of one sign share it."""
        if site not in self._pairs:
            self._pairs[site] = _pair(self._file.site(site))
        return self._pairs[site].up if up else self._pairs[site].down

    def link(self, site: Site, multiplier: float) -> Slide:
        """scrub's edit at a sublayer."""
        if multiplier not in self._chains:
            self._chains[multiplier] = _chain(self._file.multiplier(multiplier))
        return self._chains[multiplier][site]


def save_functional(file: EditorsFile, site: Site, functional: Tensor) -> Path:
    return _save(file, file.site(site), {"functional": functional}, {"site": site.name})


def save_pair(file: EditorsFile, site: Site, pair: Pair) -> Path:
    tensors, numbers = {"basis": pair.up.basis}, {}
    for name, map_ in (("up", pair.up), ("down", pair.down)):
        tensors |= {f"{name}/core": map_.core, f"{name}/source": map_.source, f"{name}/target": map_.target}
        if map_.gate is not None:
            tensors[f"{name}/gate"] = map_.gate
        numbers[name] = {"scale": map_.scale, "threshold": map_.threshold}
    return _save(file, file.site(site), tensors, {"site": site.name, "maps": numbers})


def save_chain(file: EditorsFile, multiplier: float, chain: Chain) -> Path:
    tensors: dict[str, Tensor] = {}
    for site, slide in chain.slides.items():
        tensors |= {f"{site.name}/direction": slide.direction, f"{site.name}/reader": slide.reader}
    notes = {
        "multiplier": multiplier,
        "at": {site.name: slide.at for site, slide in chain.slides.items()},
        "norms": {site.name: norm for site, norm in chain.norms.items()},
    }
    return _save(file, file.multiplier(multiplier), tensors, notes)


def _save(file: EditorsFile, path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> Path:
    experiment = file.experiment
    header = {
        "step": file.settings.step,
        "version": file.settings.VERSION,
        "settings": file.settings.record(),
        "model": experiment.source.identity,
        "data": experiment.data.vectors_hash(),
        "vectors": experiment.vectors_key,
        **notes,
    }
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise EngineError(f"The {file.settings.method} editor has NaN or infinite numbers in {name} of {path.stem}.")
    save_tensors(path, {name: tensor.float() for name, tensor in tensors.items()}, header)
    return path


def _pair(path: Path) -> Pair:
    from engine.edits import Transport
    from engine.steering.editing.quadratic import Pair

    tensors, numbers = load_tensors(path), read_header(path)["maps"]

    def map_(name: str) -> Transport:
        core, source, target = (tensors[f"{name}/{part}"] for part in ("core", "source", "target"))
        scale, threshold = numbers[name]["scale"], numbers[name]["threshold"]
        return Transport(tensors["basis"], core, scale, source, target, tensors.get(f"{name}/gate"), threshold)

    return Pair(map_("up"), map_("down"))


def _chain(path: Path) -> dict[Site, Slide]:
    from engine.edits import Slide

    tensors, ats = load_tensors(path), read_header(path)["at"]
    slides: dict[Site, Slide] = {}
    for name, at in ats.items():
        kind, layer = name.split(".")
        slides[Site(int(layer), kind)] = Slide(tensors[f"{name}/direction"], tensors[f"{name}/reader"], at)
    return slides
