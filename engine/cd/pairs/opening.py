"""From settings to a pair of models: what identifies it, without loading anything, and then the pair itself.

Owns whether two names are one load, whether two tokenizers are the same, and the order mix → quantise → steer. It knows neither
prompts nor how texts are made. No torch until a pair is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from engine.cd.options import check_combination, check_drawing, check_members
from engine.cd.settings import CombinationSettings, DrawSettings, PairSettings
from engine.errors import InputError
from engine.families import Site
from engine.identity import ModelSource, resolve_model
from engine.progress import notice
from engine.settings import canonical_json
from engine.steering.sources import VectorSource, vectors_file
from engine.workspace import find_workspace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.cd.pairs.pair import Pair
    from engine.forward import Steering
    from engine.models import LoadedModel


Role = Literal["search", "pipeline"]
"""Who chooses prompts, where it is not the user."""


@dataclass(frozen=True, slots=True)
class PairSource:
    """Both models as names that are resolved, and the vectors of a steered one with the layer that they are added at."""

    starting: ModelSource
    comparison: ModelSource
    vectors: VectorSource | None
    layer: int | None

    def inputs(self, role: Role | None = None) -> dict[str, str]:
        """What stands for them in a key: `settings.key(**source.inputs())`. role: whose the texts are, if not the user's."""
        named = {"starting": self.starting.identity, "comparison": self.comparison.identity}
        vectors = {} if self.vectors is None else {"vectors": self.vectors.key}
        return named | vectors | ({} if role is None else {"role": role})

    def facts(self) -> dict[str, Any]:
        """What a reader of a cell wants to know of them beside the settings."""
        members = {"starting": self.starting, "comparison": self.comparison}
        facts: dict[str, Any] = {name: {"name": one.name, "identity": one.identity} for name, one in members.items()}
        if self.vectors is not None:
            facts["vectors"] = {"file": self.vectors.path.name, "sha256": self.vectors.key, "layer": self.layer}
        return facts

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """That of S, which has the tokens of C too, without any weights."""
        from engine.models import load_tokenizer

        return load_tokenizer(self.starting)


def pair_source(settings: PairSettings) -> PairSource:
    """Resolve what the settings name, and refuse options that contradict each other, before anything loads."""
    check_members(settings)
    if isinstance(settings, CombinationSettings):
        check_combination(settings)
    if isinstance(settings, DrawSettings):
        check_drawing(settings)
    starting = resolve_model(settings.starting, settings.starting_revision)
    comparison = resolve_model(settings.comparison, settings.comparison_revision)
    if settings.interpolate is not None and starting.identity == comparison.identity:
        raise InputError(
            f"--interpolate mixes two models, but {starting.name} and {comparison.name} have the same weights; give another "
            "--comparison, or leave it out."
        )
    if settings.vectors_file is None:
        return PairSource(starting, comparison, None, None)
    vectors = vectors_file(settings.vectors_file, find_workspace())
    return PairSource(starting, comparison, vectors, _layer(vectors, settings.layer))


def open_pair(source: PairSource, settings: PairSettings) -> Pair:
    """Load both members, each with its own options; one load where they do not differ.

    Refuses two tokenizers before any weights are read. Raises EngineError where a model cannot be loaded, InputError where the
    two do not go together.
    """
    from engine.cd.decoding.state import stop_ids
    from engine.cd.pairs.pair import Member, Pair
    from engine.models import load_tokenizer

    if source.starting.identity != source.comparison.identity:
        _check_tokenizers(source, load_tokenizer(source.starting), load_tokenizer(source.comparison))
    starting, comparison = _loaded(source, settings)
    strings = min(len(_strings(member.tokenizer)) for member in (starting, comparison))
    vocabulary = min(strings, _width(starting), _width(comparison))
    first, second = (
        Member(model, _steering(source, settings, model) if settings.steered == name else None)
        for name, model in (("starting", starting), ("comparison", comparison))
    )
    pair = Pair(first, second, vocabulary, _identity(source, settings))
    if not stop_ids(pair):
        notice(
            f"No token that ends a text is known to both {starting.name} and {comparison.name}: texts end at their full length."
        )
    return pair


def _identity(source: PairSource, settings: PairSettings) -> str:
    """Of both members with all that is done to them."""
    alone = PairSettings(**{name: getattr(settings, name) for name in PairSettings.model_fields})
    told = canonical_json({"inputs": source.inputs(), "settings": alone.decisive_fields()})
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _loaded(source: PairSource, settings: PairSettings) -> tuple[LoadedModel, LoadedModel]:
    from engine.models import load_source

    if settings.interpolate is not None:
        return _interpolated(source, settings, settings.interpolate)
    comparison_options = (settings.comparison_quantize, settings.comparison_device_map, settings.dtype)
    starting_options = (settings.starting_quantize, settings.starting_device_map, settings.dtype)
    starting = load_source(source.starting, *starting_options)
    if source.starting.identity == source.comparison.identity and starting_options == comparison_options:
        return starting, starting
    return starting, load_source(source.comparison, *comparison_options)


def _interpolated(source: PairSource, settings: PairSettings, weight: float) -> tuple[LoadedModel, LoadedModel]:
    """S mixed with C while both are whole. What is quantised afterwards is mixed in main memory, where there is room."""
    from engine.cd.pairs.interpolation import comparison_share, mix_into
    from engine.models import load_source, quantised

    late = settings.starting_quantize
    starting = load_source(source.starting, None, "cpu" if late else settings.starting_device_map, settings.dtype)
    apart = settings.comparison_quantize
    comparison = load_source(source.comparison, None, "cpu" if apart else settings.comparison_device_map, settings.dtype)
    share = comparison_share(weight, settings.legacy_interpolation)
    mix_into(starting, comparison, share)
    starting = replace(starting, identity=f"{starting.identity} mixed with {share} of {comparison.identity}")
    if apart:
        comparison = load_source(source.comparison, apart, settings.comparison_device_map, settings.dtype)
    return (quantised(starting, late, settings.starting_device_map) if late else starting), comparison


def _strings(tokenizer: PreTrainedTokenizerBase) -> list[str | None]:
    """Every token's string by id; None where no token has that id."""
    vocabulary = tokenizer.get_vocab()
    strings: list[str | None] = [None] * (max(vocabulary.values()) + 1)
    for string, token in vocabulary.items():
        strings[token] = string
    return strings


def _check_tokenizers(source: PairSource, starting: PreTrainedTokenizerBase, comparison: PreTrainedTokenizerBase) -> None:
    """The ids that both have must be the same tokens. One may have some more behind them: those that a fine-tuning added."""
    for token, (mine, theirs) in enumerate(zip(_strings(starting), _strings(comparison), strict=False)):
        if mine != theirs:
            raise InputError(
                f"{source.starting.name} and {source.comparison.name} have different tokenizers: token {token} is "
                f"{_quoted(mine)} in the first and {_quoted(theirs)} in the second; give two models with one vocabulary, such "
                "as a model and what was fine-tuned from it."
            )


def _quoted(string: str | None) -> str:
    return "nothing" if string is None else repr(string)


def _width(model: LoadedModel) -> int:
    """How many logits it gives."""
    return model.model.config.get_text_config().vocab_size


def _layer(vectors: VectorSource, layer: int | None) -> int:
    """Where the vector is added: the layer that was asked for, or the one chosen when the vectors were made."""
    name, layers = vectors.path.name, vectors.layers(("stream",))
    if not layers:
        raise InputError(f"{name} has no vectors of the residual stream; give --vectors-file one that has.")
    listed = ", ".join(map(str, layers))
    choice: Mapping[str, Any] = vectors.header.get("choice") or {}
    chosen = choice.get("layer") if layer is None else layer
    if chosen is None:
        raise InputError(f"No layer was chosen when {name} was made; give --layer, one of {listed}.")
    if chosen not in layers:
        raise InputError(f"{name} has no vector of the residual stream at layer {chosen}; give --layer, one of {listed}.")
    return chosen


def _steering(source: PairSource, settings: PairSettings, model: LoadedModel) -> Steering:
    from engine.forward import Steering
    from engine.store import load_tensors

    assert source.vectors is not None
    assert source.layer is not None
    width = source.vectors.header["hidden_size"]
    if width != model.hidden_size:
        raise InputError(
            f"The vectors of {source.vectors.path.name} are {width} wide, but the hidden states of {model.name} are "
            f"{model.hidden_size} wide; give --vectors-file vectors that were made with this model."
        )
    site = Site(source.layer)
    model.module(site)  # refuses layers that the model does not have
    vector = load_tensors(source.vectors.path)[site.name].float()
    return Steering([{site: settings.multiplier * vector}], settings.positions)
