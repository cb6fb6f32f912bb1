"""Grids of two models' texts as tasks of a graph: pairs of models × directions × weights of interpolation, and what is asked.

    graph = Graph("contrast")
    points = grid([("demo", "demo-base")], directions=("S-C", "C-S", "S"))
    made = add_decoding(graph, points, ["--prompts", "demo"])
    add_views(graph, made)

Owns which options a named preset stands for (§2.7 of specs/contrastive_decoding.md, without its prompts) and what waits for
what. Prompts are the user's; those shipped here are about nothing in particular.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from engine.cd.settings import Rule
from engine.errors import InputError
from gpu_graph import Graph, Task

Direction = Literal["S-C", "C-S", "S", "C"]
"""Whose text is written: S's against C, C's against S, or either model's alone."""
DIRECTIONS: Mapping[Direction, tuple[int, int]] = {"S-C": (1, -1), "C-S": (-1, 1), "S": (1, -1), "C": (-1, 1)}
"""Weights of S and C. One model alone is rule `none`, which asks only whose weight is positive: as (1, 0) was published."""

_PUBLISHED = ("--form", "text", "--floor", "1e-7", "--temperature", "0.6", "--top-p", "0.95", "--exact-length")
PRESETS: Mapping[str, tuple[str, ...]] = {
    "quick": ("--limit", "5", "--prompt-tokens", "5", "--samples", "20", "--max-new-tokens", "20", "--limit-top-p", "0.9"),
    "small": ("--limit", "100", "--samples", "1", "--max-new-tokens", "50", "--limit-top-p", "0.9"),
    "unprompted": ("--prompt", "", "--samples", "25000", "--max-new-tokens", "40", "--limit-top-p", "0.9"),
    "per-prompt": ("--prompt-tokens", "7", "--samples", "50", "--max-new-tokens", "30", "--limit-top-p", "0.9"),
}
"""Published runs by what they do (§2.7): `debug`; `smol_models`; the begin token alone, from which models say what they are
about (`llama3…`); many texts of each of the user's prompts (`…-social-bias`, whose prompts are not shipped)."""
PUBLISHED_INTERPOLATION = 0.99
"""Our weight for the published 0.01: S becomes almost C, 1 % of the way towards S (§1.4)."""

NEUTRAL_PROMPTS = (
    "The weather this morning was",
    "A good way to learn a language is",
    "On the way to the market,",
    "The most useful tool in a kitchen is",
    "When the train arrived,",
    "My favourite season is",
    "To repair a bicycle, first",
    "The old library at the corner",
    "A long walk by the river",
    "The recipe needs",
    "People often ask me how",
    "In the year 2050,",
    "The garden behind the house",
    "Before going to sleep,",
    "The best part of the journey",
    "Every Sunday we",
)
"""Beginnings of texts about nothing in particular, for `--form text`."""


@dataclass(frozen=True, slots=True)
class Point:
    """A cell of the grid. interpolate: our weight (None: S as it is)."""

    starting: str
    comparison: str
    direction: Direction = "S-C"
    rule: Rule = "logprob_difference"
    interpolate: float | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Its place in the grid."""
        return {
            "starting": model_label(self.starting),
            "comparison": model_label(self.comparison),
            "direction": self.direction,
            "rule": self.used_rule,
            "interpolate": "none" if self.interpolate is None else f"{self.interpolate:g}",
        }

    @property
    def id(self) -> str:
        labels = self.labels
        mixed = [f"w{labels['interpolate']}"] if self.interpolate is not None else []
        rule = [] if self.used_rule == "none" else [self.used_rule.removesuffix("_difference")]
        return "_".join([labels["starting"], labels["comparison"], self.direction, *rule, *mixed])

    @property
    def fingerprint(self) -> str:
        """Of both models' whole names."""
        return hashlib.sha256(f"{self.starting}\n{self.comparison}".encode()).hexdigest()[:4]

    @property
    def used_rule(self) -> Rule:
        """One model alone is combined with nothing."""
        return "none" if self.direction in ("S", "C") else self.rule

    def options(self) -> list[str]:
        starting, comparison = DIRECTIONS[self.direction]
        mixed = [] if self.interpolate is None else ["--interpolate", str(self.interpolate)]
        weights = ["--starting-weight", str(starting), "--comparison-weight", str(comparison)]
        return ["--starting", self.starting, "--comparison", self.comparison, "--rule", self.used_rule, *weights, *mixed]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The task that writes a point's texts, and the name by which other commands know their cell. id: the point's, told apart
    from those of other models that end alike."""

    id: str
    point: Point
    task: Task
    cell: str


def grid(
    pairs: Iterable[tuple[str, str]],
    directions: Sequence[Direction] = ("S-C",),
    interpolations: Sequence[float | None] = (None,),
    rule: Rule = "logprob_difference",
) -> list[Point]:
    """Every combination that has a meaning: C alone is the same whatever S is mixed with. Raises InputError for a direction or
    a rule that there is none of, before any task runs."""
    for given, known, what in ((directions, DIRECTIONS, "direction"), ((rule,), get_args(Rule), "rule")):
        wrong = next((one for one in given if one not in known), None)
        if wrong is not None:
            raise InputError(f"There is no {what} '{wrong}'; give one of {', '.join(known)}.")
    return [
        Point(starting, comparison, direction, rule, weight)
        for (starting, comparison), direction, weight in itertools.product(pairs, directions, interpolations)
        if not (direction == "C" and weight is not None and weight != interpolations[0])
    ]


def preset(name: str) -> list[str]:
    """The options of `tiller cd decode` that a preset stands for, published sampling included. Its rule is
    `prob_difference`: give that to `grid`."""
    return [*_PUBLISHED, *PRESETS[name]]


def add_decoding(
    graph: Graph, points: Iterable[Point], options: Sequence[str], *, name: str = "", gpu_memory: str | None = None
) -> list[Decoded]:
    """A task `decode_…` for every point. options: prompts and drawing, as for `tiller cd decode`; name: put before the cells'
    names, where a workspace holds several grids; gpu_memory: of every task."""
    made, points = [], list(points)
    counts = Counter(point.id for point in points)
    for point in points:
        id = point.id if counts[point.id] == 1 else f"{point.id}_{point.fingerprint}"
        cell = f"{name}{id}"
        command = ["tiller", "cd", "decode", *point.options(), *options, "--name", cell]
        task = graph.shell(f"decode_{id}", command, gpu_memory=gpu_memory, labels=point.labels)
        made.append(Decoded(id, point, task, cell))
    return made


def add_views(graph: Graph, made: Sequence[Decoded], measure: str = "kl") -> list[Task]:
    """Each cell's texts as a page, and all cells side by side. No GPU is needed."""
    tasks = [
        graph.shell(
            f"show_{one.id}",
            ["tiller", "cd", "show", one.cell, "--measure", measure, "--html", "--vocabulary"],
            after=[one.task],
            gpus=0,
            labels=one.point.labels,
        )
        for one in made
    ]
    if len(made) > 1:
        beside = ["tiller", "cd", "show", *(one.cell for one in made), "--measure", measure]
        tasks.append(graph.shell("cells", beside, after=[one.task for one in made], gpus=0))
    return tasks


def model_label(model: str) -> str:
    """A model's name in task ids and cells' names: the last part of its path or hub id."""
    return re.sub(r"[^A-Za-z0-9.=+-]", "-", Path(model).name)[:24] or "model"
