"""The texts of one or two cells as an analysis sees them, and the three parts that they are dealt to.

Owns which texts are taken and where they go: labels are written on one part, the best are chosen on another, and only the third
is tested on (specs/contrastive_decoding.md §7.15). All texts of a prompt are in one part, whichever set they are of; which one
is decided by a hash of the prompt's id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.exchange import Exchange, Unit, of_one_set, of_two_sets

Part = Literal["label", "select", "test"]
PARTS: tuple[Part, ...] = ("label", "select", "test")


@dataclass(frozen=True, slots=True)
class AnalysedText:
    """`of`: 0 for the first set, 1 for the second. divergence: the mean over its tokens."""

    id: str
    prompt_id: str
    prompt: str
    sample: int
    text: str
    divergence: float
    log_ratio: float
    of: int


@dataclass(frozen=True)
class Texts:
    """All texts in one order, which every array of an analysis follows. names: of the sets, one or two. unit: what is dealt to
    parts. permuted: what changes places; None: texts of prompts that both sets have, else whole units."""

    names: tuple[str, ...]
    all: tuple[AnalysedText, ...]
    parts: NDArray[np.str_]
    unit: Unit
    permuted: Unit | None = None

    def __len__(self) -> int:
        return len(self.all)

    @property
    def paired(self) -> bool:
        return len(self.names) == 2

    @cached_property
    def first(self) -> NDArray[np.bool_]:
        """[texts], whether each is of the first set."""
        return np.array([text.of == 0 for text in self.all])

    @cached_property
    def prompts(self) -> NDArray[np.intp]:
        """[texts], a number for each text's prompt."""
        return np.unique([text.prompt_id for text in self.all], return_inverse=True)[1]

    def part(self, *names: Part) -> NDArray[np.bool_]:
        """[texts], whether each is in one of these parts."""
        return np.isin(self.parts, names)

    @cached_property
    def test(self) -> NDArray[np.intp]:
        """Positions of the texts that tests are made on."""
        return np.flatnonzero(self.part("test"))

    @property
    def swaps(self) -> bool:
        """Whether prompts that both sets have change sides as a whole."""
        return self.unit == self.permuted == "prompt"

    @cached_property
    def exchange(self) -> Exchange:
        """What may change places among the texts of the test part."""
        prompts = [self.all[position].prompt_id for position in self.test]
        if self.paired:
            shared = "prompt" if self.swaps else "text"
            return of_two_sets(prompts, self.first[self.test], shared, self._alone)
        return of_one_set(prompts, self._alone)

    @property
    def _alone(self) -> Unit:
        return "text" if "text" in (self.unit, self.permuted) else "prompt"


def deal(
    names: tuple[str, ...],
    found: Sequence[AnalysedText],
    unit: Unit,
    permuted: Unit | None,
    label_share: float,
    select_share: float,
    seed: int,
) -> Texts:
    """Texts with their parts, ordered by set, prompt and sample."""
    ordered = tuple(sorted(found, key=lambda text: (text.of, text.prompt_id, text.sample)))
    parts = parts_of({_unit_name(text, unit) for text in ordered}, label_share, select_share, seed)
    return Texts(names, ordered, np.array([parts[_unit_name(text, unit)] for text in ordered]), unit, permuted)


def parts_of(names: Collection[str], label_share: float, select_share: float, seed: int) -> dict[str, Part]:
    """Name → its part. Names are put in the order of a hash and cut where the shares end, so that few names, too, are dealt in
    these shares; three names are one for each part."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    label = min(max(1, round(label_share * len(ordered))), max(len(ordered) - 2, 0))
    select = min(max(1, round(select_share * len(ordered))), max(len(ordered) - label - 1, 0))
    return {
        name: "label" if place < label else "select" if place < label + select else "test" for place, name in enumerate(ordered)
    }


def balanced(sets: Sequence[Mapping[str, Sequence[AnalysedText]]]) -> tuple[list[AnalysedText], int]:
    """The texts of sets by prompt, with as many of either set for each prompt that both have; and how many were left out."""
    kept: list[AnalysedText] = []
    left = 0
    for own in sets:
        for prompt, texts in own.items():
            most = min(len(other[prompt]) for other in sets if prompt in other)
            kept += texts[:most]
            left += len(texts) - most
    return kept, left


def _unit_name(text: AnalysedText, unit: Unit) -> str:
    """Texts of two sets with the same prompt and sample stay together even where each text is a unit."""
    return text.prompt_id if unit == "prompt" else f"{text.prompt_id}:{text.sample}"
