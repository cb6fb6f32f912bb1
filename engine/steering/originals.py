"""The file names of the two published repositories (§9): from settings to a name and back, by exact keys.

Owns the order and spelling of fields, nothing of the files' contents. The originals looked files up by substring, so that
"layer=1" found layer 13, and wrote multipliers as Python prints them, so that 0.3 and 0.30000000000000004 were two files. Here
a name is parsed whole, and a multiplier has one text: at most twelve digits, with a point, and no negative zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from engine.errors import InputError
from engine.settings import canonical_number

SteeringLlama3Kind = Literal["acts", "vec", "eraser", "responses", "plot"]
_FOLDERS: dict[SteeringLlama3Kind, str] = {
    "acts": "artifacts/acts/acts_{}.pt",
    "vec": "artifacts/vecs/vec_{}.pt",
    "eraser": "artifacts/vecs/eraser_{}.pt",
    "responses": "artifacts/responses/responses_{}.json",
    "plot": "plots/plot_{}.png",
}
_LETTERS = {  # in the order of names
    "M": "model",
    "D": "dataset",
    "B": "behavior",
    "R": "residual",
    "G": "logit",
    "L": "layer",
    "S": "scrub",
    "T": "temp",
    "C": "leace",
    "K": "toks",
    "X": "multiplier",
    "P": "positive",
}
_FLAGS = {"R": "res", "G": "log", "S": "scrub"}


@dataclass(frozen=True, slots=True)
class SteeringLlama3Settings:
    """The settings of steering-llama3. Names hold no repeats, prompts, sampling, seed or data version."""

    model: str = "llama3"
    dataset: str = "prompts"
    leace: str | None = None
    temp: float = 1.5
    layer: int | Literal["all"] | None = None
    residual: bool = False
    logit: bool = False
    toks: Literal["before", "after"] | None = None
    behavior: str | None = None
    scrub: bool = False


@dataclass(frozen=True, slots=True)
class SteeringLlama3Name:
    """What one file name says. `multiplier` is of responses, `positive` of activations."""

    kind: SteeringLlama3Kind
    settings: SteeringLlama3Settings
    multiplier: float | None = None
    positive: bool | None = None

    def path(self) -> str:
        """Relative to the repository."""
        said = self.settings
        values: dict[str, str | None] = {
            "M": said.model,
            "D": said.dataset,
            "B": said.behavior,
            "L": None if said.layer is None else str(said.layer),
            **{letter: word if getattr(said, _LETTERS[letter]) else None for letter, word in _FLAGS.items()},
        }
        if self.kind in ("responses", "plot"):
            values |= {"T": number_text(said.temp), "C": said.leace, "K": said.toks}
        if self.multiplier is not None:
            values["X"] = number_text(self.multiplier)
        if self.positive is not None:
            values["P"] = "+" if self.positive else "-"
        parts = [f"{letter}{values[letter]}" for letter in _LETTERS if values.get(letter) is not None]
        for part in parts:
            if "_" in part or "/" in part:
                raise InputError(f"A name of steering-llama3 cannot hold {part[1:]!r}: '_' and '/' separate its parts.")
        return _FOLDERS[self.kind].format("_".join(parts))


def parse_steering_llama3(path: str) -> SteeringLlama3Name:
    """A file name of steering-llama3, with or without its folder; the error says what is no part of one."""
    stem, kind = _stem(path)
    given: dict[str, str] = {}
    for part in stem.split("_"):
        letter, value = part[:1], part[1:]
        if letter not in _LETTERS or not value or letter in given or list(_LETTERS).index(letter) < _last(given):
            raise _no_name(path, "steering-llama3", f"{part!r} is no field of its own, or out of order")
        given[letter] = value
    for letter, word in _FLAGS.items():
        if given.get(letter, word) != word:
            raise _no_name(path, "steering-llama3", f"{letter}{given[letter]} should be {letter}{word}")
    if given.get("P", "+") not in "+-" or not {"M", "D"} <= given.keys():
        raise _no_name(path, "steering-llama3", "it needs M and D, and P is + or -")
    said = SteeringLlama3Settings(
        model=given["M"],
        dataset=given["D"],
        leace=given.get("C"),
        temp=_number(given["T"], path) if "T" in given else SteeringLlama3Settings().temp,  # names of vectors have none
        layer=None if "L" not in given else "all" if given["L"] == "all" else _integer(given["L"], path),
        residual="R" in given,
        logit="G" in given,
        toks=_toks(given.get("K"), path),
        behavior=given.get("B"),
        scrub="S" in given,
    )
    multiplier = _number(given["X"], path) if "X" in given else None
    return SteeringLlama3Name(kind, said, multiplier, given["P"] == "+" if "P" in given else None)


CAAType = Literal["ab", "open_ended", "truthful_qa", "mmlu"]


@dataclass(frozen=True, slots=True)
class CAAName:
    """What the name of one of CAA's result files says, in the order of its fields. A '/' of a model's path is a '-' in it."""

    layer: int
    multiplier: float
    behavior: str = "sycophancy"
    type: CAAType = "ab"
    system_prompt: Literal["pos", "neg"] | None = None
    override_vector: int | None = None
    override_vector_model: str | None = None
    use_base_model: bool = False
    model_size: Literal["7b", "13b"] = "7b"
    override_model_weights_path: str | None = None

    def path(self) -> str:
        """Relative to the repository."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                text = number_text(value) if field.name == "multiplier" else str(value).replace("/", "-")
                parts.append(f"{field.name}={text}")
        return f"results/{self.behavior}/results_{'_'.join(parts)}.json"


_CAA_KEYS = [field.name for field in fields(CAAName)]
_CAA_WORDS = {
    "type": get_args(CAAType),
    "system_prompt": ("pos", "neg"),
    "use_base_model": ("True", "False"),
    "model_size": ("7b", "13b"),
}
_CAA_FIELD = re.compile(rf"(?:^|_)({'|'.join(_CAA_KEYS)})=")


def parse_caa(path: str) -> CAAName:
    """The name of a result file of CAA, with or without its folder."""
    stem = re.fullmatch(r"results_(.+)\.json", _base(path))
    if stem is None:
        raise _no_name(path, "CAA", "it should be results_….json")
    before, *parts = _CAA_FIELD.split(stem[1])
    keys, values = parts[::2], parts[1::2]
    complete = {"layer", "multiplier", "behavior", "type"} <= {*keys}
    if before or not complete or keys != [key for key in _CAA_KEYS if key in keys]:
        raise _no_name(path, "CAA", f"its fields should be among {', '.join(_CAA_KEYS)}, in this order")
    given: dict[str, Any] = dict(zip(keys, values, strict=True))
    for key, known in _CAA_WORDS.items():
        if key in given and given[key] not in known:
            raise _no_name(path, "CAA", f"{key} is one of {', '.join(known)}")
    for key in ("layer", "override_vector"):
        if key in given:
            given[key] = _integer(given[key], path)
    given["multiplier"] = _number(given["multiplier"], path)
    given["use_base_model"] = given.get("use_base_model") == "True"
    return CAAName(**given)


@dataclass(frozen=True, slots=True)
class CAAVectorName:
    """`vec_layer_<layer>_<model>.pt`; the folder is the behaviour's. `model` is the base name of its path."""

    layer: int
    model: str

    def path(self, behavior: str, normalised: bool = False) -> str:
        return f"{'normalized_' if normalised else ''}vectors/{behavior}/vec_layer_{self.layer}_{self.model}.pt"


def parse_caa_vector(path: str) -> CAAVectorName:
    found = re.fullmatch(r"vec_layer_(\d+)_(.+)\.pt", _base(path))
    if found is None:
        raise _no_name(path, "CAA", "it should be vec_layer_<layer>_<model>.pt")
    return CAAVectorName(int(found[1]), found[2])


def find(names: Iterable[str], wanted: SteeringLlama3Name | CAAName | CAAVectorName) -> list[str]:
    """Those of `names` that say exactly what is wanted; others, also of other files, are passed over."""
    parse = {
        SteeringLlama3Name: parse_steering_llama3,
        CAAName: parse_caa,
        CAAVectorName: parse_caa_vector,
    }[type(wanted)]
    found = []
    for name in names:
        try:
            says = parse(name)
        except InputError:
            continue
        if says == wanted:
            found.append(name)
    return found


def number_text(value: float) -> str:
    """One text for equal numbers, as the originals write simple ones: 0.5, 1.0."""
    text = canonical_number(value)
    return text if "." in text else f"{text}.0"


def _stem(path: str) -> tuple[str, SteeringLlama3Kind]:
    base = _base(path)
    for kind, folder in _FOLDERS.items():
        before, after = _base(folder).split("{}")
        if base.startswith(before) and base.endswith(after):
            return base[len(before) : len(base) - len(after)], kind
    raise _no_name(path, "steering-llama3", "it begins like none of its files")


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _last(given: dict[str, str]) -> int:
    return max((list(_LETTERS).index(letter) for letter in given), default=-1)


def _toks(value: str | None, path: str) -> Literal["before", "after"] | None:
    if value is None or value == "before" or value == "after":
        return value
    raise _no_name(path, "steering-llama3", "K is before or after")


def _integer(text: str, path: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise _no_name(path, "published vectors or results", f"{text!r} is no layer")
    return int(text)


def _number(text: str, path: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _no_name(path, "published vectors or results", f"{text!r} is no number")
    return float(canonical_number(value))


def _no_name(path: str, repository: str, reason: str) -> InputError:
    return InputError(f"{_base(path)} is no file name of {repository}: {reason}.")
