"""Whether runs differ in what their texts are about: two-sample tests in embedding space for every pair of runs.

Owns which texts are compared, and that many pairs are not many chances. Distances in a map of the texts are no evidence (spec
§7.14) and are not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.exchange import of_two_sets
from engine.cd.analysis.runs import Run
from engine.cd.analysis.two_sample import TwoSample, c2st, energy, mmd
from engine.significance import benjamini_hochberg

C2ST_DRAWS = 199
"""The classifier is trained anew for every rearrangement."""


@dataclass(frozen=True, slots=True)
class Distance:
    """Of two runs: the tests, each with its p-value adjusted over all pairs and tests. left_out: texts that had no counterpart
    of their prompt in the other run, or were too many."""

    first: str
    second: str
    tests: tuple[tuple[TwoSample, float], ...]
    texts: tuple[int, int]
    left_out: int


def distances(
    runs: Sequence[Run], vectors: Sequence[NDArray[np.float32]], permutations: int, most: int, seed: int
) -> list[Distance]:
    """vectors: of each run's texts, [texts, width]. Prompts change sides as a whole, with as many texts on either side."""
    found: list[tuple[str, str, list[TwoSample], tuple[int, int], int]] = []
    for (one, own), (other, others) in combinations(zip(runs, vectors, strict=True), 2):
        first, second = balanced(one.prompts(), other.prompts(), most, seed)
        prompts = [*(one.prompts()[place] for place in first), *(other.prompts()[place] for place in second)]
        sides = np.arange(len(prompts)) < len(first)
        points = np.concatenate([own[first], others[second]])
        exchange = of_two_sets(prompts, sides, "prompt")
        units = np.unique(prompts, return_inverse=True)[1]
        tests = [
            energy(points, sides, exchange, permutations, seed),
            mmd(points, sides, exchange, permutations, seed),
            c2st(points, sides, exchange, units, min(permutations, C2ST_DRAWS), seed),
        ]
        left = len(one.texts) + len(other.texts) - len(prompts)
        found.append((one.name, other.name, tests, (len(first), len(second)), left))
    adjusted = iter(benjamini_hochberg([test.p for _, _, tests, _, _ in found for test in tests]))
    return [
        Distance(one, other, tuple((test, next(adjusted)) for test in tests), texts, left)
        for one, other, tests, texts, left in found
    ]


def balanced(first: Sequence[str], second: Sequence[str], most: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the texts that are compared, of either run: whole prompts, chosen by chance where texts are more than `most`,
    and of a prompt that both have as many. first, second: each text's prompt."""
    sides = [_places(first), _places(second)]
    shared = sides[0].keys() & sides[1].keys()
    kept: list[list[int]] = [[], []]
    names = sorted({*sides[0], *sides[1]})
    for index in np.random.default_rng(seed).permutation(len(names)):
        name = names[index]
        count = min(len(side[name]) for side in sides) if name in shared else None
        found = [side.get(name, [])[:count] for side in sides]
        if all(len(chosen) + len(places) <= most for chosen, places in zip(kept, found, strict=True)):
            for chosen, places in zip(kept, found, strict=True):
                chosen += places
    return np.sort(np.array(kept[0], dtype=np.intp)), np.sort(np.array(kept[1], dtype=np.intp))


def _places(prompts: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        found.setdefault(prompt, []).append(place)
    return found
