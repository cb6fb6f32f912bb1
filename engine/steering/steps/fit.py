"""`tiller steer fit`: what concept edits learn from activations, by behaviour and method (§4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InputError
from engine.families import Site
from engine.progress import Progress
from engine.steering.editing.editors import EditorsFile, editors_file, save_chain, save_functional, save_pair
from engine.steering.editing.settings import FitSettings, check_fit
from engine.steering.experiment import Experiment, open_experiment
from engine.store import load_tensors, note_artifact

if TYPE_CHECKING:
    from torch import Tensor

    from engine.models import LoadedModel


def run(settings: FitSettings) -> str:
    """Every behaviour and method in turn; the model is loaded once, and only if something must be read from it."""
    check_fit(settings)
    wanted = []
    for each in settings.each():
        experiment = open_experiment(each)
        layers = experiment.vectors_header()["layers"]
        if settings.layer and not set(settings.layer) <= set(range(layers)):
            raise InputError(f"{settings.model} has layers 0 to {layers - 1}; give --layer some of them, or none for all.")
        sites = [Site(layer, kind) for layer in settings.layer or range(layers) for kind in settings.site]
        wanted.append((editors_file(experiment, each), sites))
    source = _Source()
    return "\n".join(
        _scrub(file, settings, source) if file.settings.method == "scrub" else _at_sites(file, sites, source)
        for file, sites in wanted
    )


def _at_sites(file: EditorsFile, sites: Sequence[Site], source: _Source) -> str:
    missing = [site for site in sites if not file.site(site).is_file()]
    _note(file, [file.site(site) for site in sites if site not in missing])
    what = f"fit {file.settings.behavior} {file.settings.method}"
    if not missing:
        return _summary(file, what, len(sites), 0, "site")
    from engine.steering.editing.linear import leace_functional  # torch: only when there is something to compute
    from engine.steering.editing.quadratic import quad, quadlda

    method, target = file.settings.method, file.experiment.data.contrast.target
    vectors = load_tensors(file.experiment.vectors_path) if method == "leace" else {}
    states_at = source.states(file.experiment, missing)
    with Progress(f"{what}: sites", len(missing)) as progress:
        for site in missing:
            states = states_at(site)
            if method == "leace":
                path = save_functional(file, site, leace_functional(_pooled(states), vectors[site.name]))
            else:
                others = _pooled({name: members for name, members in states.items() if name != target})
                path = save_pair(file, site, (quad if method == "quad" else quadlda)(states[target], others))
            _note(file, [path])
            progress.advance()
    return _summary(file, what, len(sites), len(missing), "site")


def _scrub(file: EditorsFile, settings: FitSettings, source: _Source) -> str:
    multipliers = list(dict.fromkeys(settings.multipliers))
    missing = [multiplier for multiplier in multipliers if not file.multiplier(multiplier).is_file()]
    _note(file, [file.multiplier(multiplier) for multiplier in multipliers if multiplier not in missing])
    what = f"fit {file.settings.behavior} scrub ({file.settings.scrub_method})"
    if not missing:
        return _summary(file, what, len(multipliers), 0, "multiplier")
    from engine.steering.activations import encode
    from engine.steering.editing.scrub import scrub
    from engine.steering.vectors import difference_weights

    model, contrast = source.model(file.experiment), file.experiment.data.contrast
    sequences = [ids for examples in contrast.classes.values() for ids in encode(model, examples)]
    weights = difference_weights({name: len(examples) for name, examples in contrast.classes.items()}, contrast.target)
    with Progress(f"{what}: sublayers", 2 * model.layers) as progress:
        chains = scrub(
            model,
            sequences,
            weights,
            missing,
            file.settings.scrub_method,
            settings.batch_size,
            progress.advance,
            file.settings.legacy_edits,
        )
    for multiplier, chain in zip(missing, chains, strict=True):
        _note(file, [save_chain(file, multiplier, chain)])
    return _summary(file, what, len(multipliers), len(missing), "multiplier")


class _Source:
    """The model, and the states of a behaviour's examples: from disk where they are kept, else read once."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None
        self._read_for = ""  # whose states are kept: of one behaviour at a time, since all of them may not fit
        self._collected: dict[Site, Mapping[str, Tensor]] = {}

    def model(self, experiment: Experiment) -> LoadedModel:
        from engine.models import load_source

        if self._model is None:
            settings = experiment.settings
            self._model = load_source(experiment.source, settings.quantize, settings.device_map, settings.dtype)
        return self._model

    def states(self, experiment: Experiment, sites: Sequence[Site]) -> Callable[[Site], Mapping[str, Tensor]]:
        """{class: [examples, hidden]} at a site: the states that the vector was made from."""
        from engine.steering.activations import read_activations

        if all(experiment.activations_path(site).is_file() for site in sites):
            return lambda site: read_activations(experiment, site)
        if self._read_for != experiment.vectors_key:
            self._read_for, self._collected = experiment.vectors_key, {}
        unread = [site for site in sites if site not in self._collected]
        if unread:
            self._collected |= self._collect(experiment, unread)
        return self._collected.__getitem__

    def _collect(self, experiment: Experiment, sites: Sequence[Site]) -> Mapping[Site, Mapping[str, Tensor]]:
        from engine.steering.activations import collect, collect_sequences
        from engine.steering.logit import letter_odds

        model, contrast, settings = self.model(experiment), experiment.data.contrast, experiment.settings
        label = f"fit {settings.behavior}: chats"
        if settings.logit:
            sequences = {contrast.target: letter_odds(model, contrast, settings.batch_size).sequences}
            with Progress(label, len(sequences[contrast.target])) as progress:
                return collect_sequences(model, sequences, sites, settings.batch_size, progress.advance)
        with Progress(label, len(contrast.examples())) as progress:
            return collect(model, contrast, sites, settings.batch_size, progress.advance)


def _pooled(states: Mapping[str, Tensor]) -> Tensor:
    """Of all classes together: [examples, hidden]."""
    from torch import cat

    return cat(list(states.values()))


def _summary(file: EditorsFile, what: str, parts: int, made: int, kind: str) -> str:
    folder = file.experiment.workspace.relative(file.folder)
    whole = f"{parts} {kind}{'s' if parts > 1 else ''}"
    if not made:
        return f"{what}: already there, {whole}, {folder}"
    return f"{what}: {whole}{f', of them {made} new' if made < parts else ''} → {folder}"


def _note(file: EditorsFile, paths: Sequence[Path]) -> None:
    for path in paths:
        note_artifact(file.experiment.workspace, path, "editors", file.key)
