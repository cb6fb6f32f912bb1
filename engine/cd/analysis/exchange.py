"""Which texts could have stood in each other's place if nothing told the groups apart, and rearrangements of them at random.

Owns the permutations behind every p-value of an analysis. What is permuted are texts (or all texts of a prompt, as a whole),
never pairs of texts: n1·n2 comparisons of n1 + n2 texts are not as much evidence (specs/contrastive_decoding.md §7.14).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["prompt", "text"]
"""What is one piece of evidence: all texts of a prompt together, or each text."""
_BLOCK = 1 << 22  # places drawn at a time: memory stays flat over any number of texts


@dataclass(frozen=True)
class Exchange:
    """`families`: each [blocks, places] of positions of texts. Whole blocks of one family may change places with each other; a
    position is in one family at most, and one that is in none stays where it is."""

    families: tuple[NDArray[np.intp], ...]
    texts: int

    def rearranged(self, generator: np.random.Generator, draws: int) -> Iterator[NDArray[np.intp]]:
        """`draws` random rearrangements in parts, each [part, texts]: whose label the text at each position gets."""
        at_once = max(1, _BLOCK // max(self.texts, 1))
        shapes = sorted({family.shape for family in self.families})
        alike = [np.stack([family for family in self.families if family.shape == shape]) for shape in shapes]
        for start in range(0, draws, at_once):
            rows = min(at_once, draws - start)
            places = np.tile(np.arange(self.texts), (rows, 1))
            for families in alike:  # [families, blocks, places] at once: thousands of prompts have one each
                order = generator.random((rows, *families.shape[:2])).argsort(axis=2)
                moved = np.take_along_axis(families[None], order[..., None], axis=2)
                places[:, families.ravel()] = moved.reshape(rows, -1)
            yield places


def of_two_sets(prompts: Sequence[str], first: NDArray[np.bool_], shared: Unit, alone: Unit | None = None) -> Exchange:
    """For two sets of texts. A prompt that was asked in both compares them on its own: its texts change sides one by one
    (shared "text"), or all at once ("prompt", with as many texts on either side). Prompts of one set only change sides with
    each other (alone "prompt"), or their texts do; None: as of the shared ones.

    prompts: of each text. first: [texts], whether it is of the first set. Texts of a prompt by one model are drawn each on
    their own, so that one by one is exact where nothing differs for any prompt. All at once asks more: that a difference does
    not go one way for one prompt and the other for the next.
    """
    known = _positions(prompts)
    families: list[NDArray[np.intp]] = []
    left: dict[str, NDArray[np.intp]] = {}
    for prompt, positions in known.items():
        here, there = positions[first[positions]], positions[~first[positions]]
        if not len(here) or not len(there):
            left[prompt] = positions
        elif shared == "text":
            families.append(positions[:, None])
        elif len(here) == len(there):
            families.append(np.stack([here, there]))
        else:
            raise ValueError(f"prompt {prompt} has {len(here)} texts on one side, {len(there)} on the other")
    return Exchange((*families, *_among(left, alone or shared)), len(prompts))


def of_one_set(prompts: Sequence[str], unit: Unit) -> Exchange:
    """For one set whose texts are grouped by what they are (clusters): prompts with as many texts pass their texts' groups on
    to each other, as a whole, or every text does so for itself."""
    return Exchange(_among(_positions(prompts), unit), len(prompts))


def _among(known: dict[str, NDArray[np.intp]], unit: Unit) -> tuple[NDArray[np.intp], ...]:
    if not known:
        return ()
    if unit == "text":
        return (np.concatenate(list(known.values()))[:, None],)
    sizes = sorted({len(positions) for positions in known.values()})
    return tuple(np.stack([positions for positions in known.values() if len(positions) == size]) for size in sizes)


def _positions(prompts: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    found: dict[str, list[int]] = {}
    for position, prompt in enumerate(prompts):
        found.setdefault(prompt, []).append(position)
    return {prompt: np.array(positions) for prompt, positions in found.items()}
