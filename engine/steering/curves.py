"""Curves over multipliers, from records: a mean at every multiplier with its bootstrap interval.

Owns the arithmetic and where the numbers come from. The unit that is drawn again is the item or the prompt, since samples of
one prompt are no independent evidence. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.data import ABItem, Prompt
from engine.steering.experiment import Cell
from engine.steering.measures import AB_KIND
from engine.store import Score, read_measurements, read_responses
from engine.workspace import Workspace

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Point:
    """`mean` over `units` (items or prompts) of their means; [`low`, `high`] is the 95 % bootstrap interval."""

    multiplier: float
    mean: float
    low: float
    high: float
    units: int
    observations: int


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    points: tuple[Point, ...]


Scores = Mapping[tuple[tuple[str, ...], tuple[str, ...], str | None], Score]
Units = dict[str, list[float]]
"""The observations of every item or prompt."""


def letter_curve(workspace: Workspace, cells: Sequence[Cell], items: Sequence[ABItem], name: str) -> Curve:
    """Mean p(matching letter) of the measured items."""
    wanted = {item.id for item in items}

    def units(cell: Cell) -> Units:
        rows = read_measurements(workspace, AB_KIND, cell.key, "item_id")
        return {item: [row["p_matching"]] for item, row in rows.items() if item in wanted}

    return curve(name, cells, units)


def judged_curve(
    workspace: Workspace, cells: Sequence[Cell], prompts: Sequence[Prompt], samples: int, scores: Scores, name: str
) -> Curve:
    """Share of the answers that the judge says show the behaviour; a tie counts half, what failed does not count."""
    wanted = {prompt.id for prompt in prompts}

    def units(cell: Cell) -> Units:
        found: Units = {}
        for answer in read_responses(workspace, cell.key).values():
            score = scores.get(((answer.id,), (answer.text_sha256,), None))
            if answer.prompt_id in wanted and answer.sample < samples and score is not None and score.value is not None:
                found.setdefault(answer.prompt_id, []).append(0.5 if score.label == "tie" else float(score.value > 0.5))
        return found

    return curve(name, cells, units)


def curve(name: str, cells: Sequence[Cell], units: Callable[[Cell], Units]) -> Curve:
    """One point per multiplier; cells that share one (random vectors of several seeds) are pooled by unit."""
    pooled: dict[float, Units] = {}
    for cell in cells:
        at = pooled.setdefault(cell.multiplier, {})
        for unit, observations in units(cell).items():
            at.setdefault(unit, []).extend(observations)
    points = (point(multiplier, found) for multiplier, found in sorted(pooled.items()) if found)
    return Curve(name, tuple(points))


def point(multiplier: float, units: Units) -> Point:
    means = np.array([np.mean(observations) for observations in units.values()])
    low, high = bootstrap(means)
    observations = sum(map(len, units.values()))
    return Point(multiplier, float(means.mean()), low, high, len(means), observations)


def bootstrap(means: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean when units are drawn with replacement. means: [units]."""
    draws = np.random.default_rng(seed).integers(0, len(means), (DRAWS, len(means)))
    low, high = np.quantile(means[draws].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
