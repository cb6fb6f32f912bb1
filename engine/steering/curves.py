"""Curves over multipliers, from records: a mean at every multiplier with its bootstrap interval.

Owns where the numbers come from and how cells become points. The unit that is drawn again is the item or the prompt, since
samples of one prompt are no independent evidence. What a judge gave no answer to is left out of a mean and counted. No torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.data import ABItem, Prompt
from engine.judges.rubric import Rubric
from engine.judges.summary import is_share, observed
from engine.statistics import mean_of
from engine.steering.experiment import Cell
from engine.steering.measures import AB_KIND
from engine.store import Score, read_measurements, read_responses
from engine.workspace import Workspace

Labels = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Point:
    """`mean` over `units` (items or prompts) of their means; [`low`, `high`] is the 95 % interval. `labels`: how
    often a judge gave each, those that are left out too."""

    multiplier: float
    mean: float
    low: float
    high: float
    units: int
    observations: int
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Curve:
    """`labels`: at each multiplier, where nothing was answered too: that is no point."""

    name: str
    points: tuple[Point, ...]
    labels: Mapping[float, Labels] = field(default_factory=dict)


Scores = Mapping[tuple[tuple[str, ...], tuple[str, ...], str | None], Score]
Units = dict[str, list[float]]
"""The observations of every item or prompt."""


def letter_curve(workspace: Workspace, cells: Sequence[Cell], items: Sequence[ABItem], name: str) -> Curve:
    """Mean p(matching letter) of the measured items."""
    wanted = {item.id for item in items}

    def units(cell: Cell) -> tuple[Units, Labels]:
        rows = read_measurements(workspace, AB_KIND, cell.key, "item_id")
        return {item: [row["p_matching"]] for item, row in rows.items() if item in wanted}, {}

    return curve(name, cells, units)


def judged_curve(
    workspace: Workspace,
    cells: Sequence[Cell],
    prompts: Sequence[Prompt],
    samples: int,
    scores: Scores,
    rubric: Rubric,
    name: str,
) -> Curve:
    """Of a yes/no rubric the share of answers judged yes, a tie half; else the mean of the judge's values."""
    wanted = {prompt.id for prompt in prompts}

    def units(cell: Cell) -> tuple[Units, Labels]:
        found: Units = {}
        labels: Counter[str] = Counter()
        for answer in read_responses(workspace, cell.key).values():
            score = scores.get(((answer.id,), (answer.text_sha256,), None))
            if answer.prompt_id not in wanted or answer.sample >= samples or score is None:
                continue
            labels[score.label] += 1
            value = observed(score, rubric)
            if value is not None:
                found.setdefault(answer.prompt_id, []).append(value)
        return found, labels

    return curve(name, cells, units, is_share(rubric))


def curve(name: str, cells: Sequence[Cell], units: Callable[[Cell], tuple[Units, Labels]], share: bool = False) -> Curve:
    """A point for each multiplier; cells that share one (random vectors of several seeds) are pooled by unit."""
    pooled: dict[float, tuple[Units, Counter[str]]] = {}
    for cell in cells:
        at, labels = pooled.setdefault(cell.multiplier, ({}, Counter()))
        found, given = units(cell)
        labels.update(given)
        for unit, observations in found.items():
            at.setdefault(unit, []).extend(observations)
    points = (point(multiplier, found, labels, share) for multiplier, (found, labels) in sorted(pooled.items()) if found)
    return Curve(name, tuple(points), {multiplier: labels for multiplier, (_, labels) in sorted(pooled.items())})


def point(multiplier: float, units: Units, labels: Labels | None = None, share: bool = False) -> Point:
    at = mean_of(units, share)
    return Point(multiplier, at.mean, at.low, at.high, at.units, at.observations, labels or {})
