"""Experiments as tasks of a graph: the published grids, with every model loaded as seldom as possible and one judge for all.

    judging = shared_judge(graph, rubrics_of("data/caa", (*BEHAVIORS, HARM)), "demo")
    add_grid(graph, published_grid(["demo"]), judging, dataset="data/caa", sweep=PUBLISHED_SAMPLING)

A point is one curve: a model steered along one vector, at one place, with one edit, over a range of multipliers (§8.2). Points
that share a model, a contrast and `--logit` share their vectors and editors, which take one load of the model each. Owns which
points there are, their ranges, and the command lines; the steps know nothing of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError
from engine.judges.recipes import judge_name, judge_options, transformers_judge, vllm_judge
from engine.steering.editing.settings import METHODS
from engine.steering.settings import ContrastKind, EditKind
from gpu_graph import Graph, Task

BEHAVIORS = (
    "coordinate-other-ais",
    "corrigible-neutral-HHH",
    "hallucination",
    "myopic-reward",
    "survival-instinct",
    "sycophancy",
    "refusal",
)
HARM = "harm"
"""The originals' behaviour `None`: harmful and harmless prompts are asked, and a judge says whether the model refuses."""
PAIRED: tuple[ContrastKind, ...] = ("ab", "openr", "open")
"""Contrasts of a behaviour's own files; the others are made of the harm table."""
TABLED: tuple[ContrastKind, ...] = ("opencon", "caa", "abcon", "prompts")
PUBLISHED_SAMPLING = (
    *("--samples", "20", "--max-new-tokens", "50", "--temperature", "1.5", "--top-k", "50", "--top-p", "0.9"),
    *("--positions", "all"),
)
"""What the originals drew with, hidden settings included (§3.1)."""
PUBLISHED_PROMPTS = 25
"""Of each kind; the harm prompts are of two kinds."""
PUBLISHED_LAYER = 15

_SIDES: dict[ContrastKind, float] = {"ab": 4, "openr": 2, "open": 2, "opencon": 1, "caa": 1.5, "abcon": 3, "prompts": 1.5}
_HARM_RUBRIC = "refusal-yes-no"
_LETTERS: tuple[ContrastKind, ...] = ("ab", "abcon")
_TRANSPORTS: tuple[EditKind, ...] = ("quad", "quadlda")


@dataclass(frozen=True, slots=True)
class Point:
    """One curve. `layer` None steers all sublayers of all layers at once (the originals' --residual --layer all), a number the
    stream after that block."""

    model: str
    contrast: ContrastKind
    behavior: str
    layer: int | None = None
    logit: bool = False
    edit: EditKind = "none"

    def multipliers(self, steps: int = 10, stretch: float = 1.0) -> tuple[float, ...]:
        """So many steps on either side of 0 up to the published range (§8.2) times `stretch`. With transports only the sign
        counts. The originals meant the ×2.5 of one stream layer but compared with another word, so it was never applied."""
        if self.edit in _TRANSPORTS:
            return (-1.0, 0.0, 1.0)
        if self.contrast not in _SIDES:
            raise InputError(f"There is no published range for the contrast '{self.contrast}'; give multipliers of your own.")
        side = _SIDES[self.contrast] * (4 if self.logit else 1) * (1 if self.layer is None else 2.5) * stretch
        return tuple(round(side * step / steps, 5) for step in range(-steps, steps + 1))

    @property
    def labels(self) -> dict[str, str]:
        """Its place in the grid."""
        return {
            "model": model_label(self.model),
            "contrast": self.contrast,
            "behavior": self.behavior,
            "layer": "all" if self.layer is None else str(self.layer),
            "logit": "yes" if self.logit else "no",
            "edit": self.edit,
        }

    @property
    def id(self) -> str:
        labels = self.labels
        logit = ["logit"] if self.logit else []
        return "_".join([labels["model"], self.contrast, self.behavior, *logit, f"L{labels['layer']}", self.edit])

    def vectors(self, dataset: str) -> list[str]:
        """The options that name its vectors."""
        logit = ["--logit"] if self.logit else []
        return ["--model", self.model, "--dataset", dataset, "--contrast", self.contrast, *logit]

    def place(self) -> list[str]:
        """The options that say where and how it steers."""
        where = ["--site", "sublayers", "--together"] if self.layer is None else ["--layer", str(self.layer)]
        return [*where, "--edit", self.edit]


@dataclass(frozen=True, slots=True)
class Judging:
    """How tasks ask a judge, and how those name it that only show its verdicts. Asking waits for the service and its check."""

    asking: tuple[str, ...]
    naming: tuple[str, ...]
    service: Task
    check: Task

    @property
    def ready(self) -> list[Task]:
        return [self.service, self.check]


def shared_judge(graph: Graph, rubrics: Sequence[str], model: str = "demo", gpus: int = 0) -> Judging:
    """One server for the whole graph: vLLM on GPUs, else `transformers serve`; and one task that asks it about known answers:
    where it fails on one of the rubrics nothing is scored. model: 'demo', a folder or a hub id."""
    service = vllm_judge(graph, model, gpus=gpus) if gpus else transformers_judge(graph, model)
    asking = judge_options(service, model)
    against = ["--against", "demo"] if model == "demo" else []
    check = ["tiller", "judge", "check", *asking, *against, "--rubric", *dict.fromkeys(rubrics)]
    checked = graph.shell("check_judge", check, after=[service], gpus=0)
    return Judging(tuple(asking), tuple(judge_name(model)), service, checked)


def rubrics_of(dataset: str, behaviors: Iterable[str]) -> list[str]:
    """The rubrics that `tiller steer score` takes for these behaviours, and `add_grid` for the harm prompts."""
    from engine.demo.data import JUDGE_OF

    known = {behavior: f"demo.{attribute}" for behavior, attribute in JUDGE_OF.items()} if dataset == "demo" else {}
    return [known.get(behavior, _HARM_RUBRIC if behavior == HARM else behavior) for behavior in behaviors]


def grid(
    models: Iterable[str],
    contrasts: Iterable[ContrastKind],
    behaviors: Sequence[str],
    layers: Iterable[int | None],
    edits: Iterable[EditKind],
    logits: Iterable[bool] = (False,),
    table_behaviors: Sequence[str] = (HARM,),
) -> Iterator[Point]:
    """Every combination that has a meaning. Contrasts of the harm table are about `table_behaviors`; log-odds need letters, and
    know no classes that could be transported; scrub goes through all sublayers of all layers, transports act on
    one stream layer."""
    for model, contrast, layer, edit, logit in itertools.product(models, contrasts, layers, edits, logits):
        if (
            (logit and (contrast not in _LETTERS or edit in (*_TRANSPORTS, "scrub")))
            or (edit == "scrub" and layer is not None)
            or (edit in _TRANSPORTS and layer is None)
        ):
            continue
        for behavior in table_behaviors if contrast in TABLED else behaviors:
            yield Point(model, contrast, behavior, layer, logit, edit)


def published_grid(models: Iterable[str], layer: int = PUBLISHED_LAYER) -> list[Point]:
    """The experiment of 138 points per model; 276 with two models.

    The specification gives the total and the loops, not which combinations were left out. All of them are counted here for the
    contrasts of behaviours: 3 contrasts × 8 behaviours (harm among them) and ab once more with log-odds = 32, at all sublayers
    or one stream layer, plain or with LEACE: 32 × 2 × 2 = 128. The harm table's contrasts, 4 and abcon with log-odds = 5, make
    up the rest at all sublayers, plain or with LEACE: 5 × 2 = 10.
    """
    edits: tuple[EditKind, ...] = ("none", "leace")
    points: list[Point] = []
    for model in models:
        points += grid([model], PAIRED, (*BEHAVIORS, HARM), (None, layer), edits, (False, True))
        points += grid([model], TABLED, (HARM,), (None,), edits, (False, True))
    return points


def add_grid(
    graph: Graph,
    points: Iterable[Point],
    judging: Judging | None,
    *,
    dataset: str,
    sweep: Sequence[str] = PUBLISHED_SAMPLING,
    limit: int = PUBLISHED_PROMPTS,
    steps: int = 10,
    stretch: float = 1.0,
    gpu_memory: str | None = None,
) -> list[Task]:
    """Vectors, editors, steered answers, scores and a plot for every point → the plots.

    judging: None lets the demo model judge inside each scoring task; dataset: as `--dataset`; sweep: further options of `apply`
    (how answers are drawn); limit: prompts of each kind; steps, stretch: of the multipliers; gpu_memory: of tasks that load a
    steered model.
    """
    points = list(points)
    made = _shared_tasks(graph, points, dataset, steps, stretch, gpu_memory)
    plots = []
    for point in points:
        prompts = limit * (2 if point.behavior == HARM else 1)
        options = [*point.vectors(dataset), "--behavior", point.behavior, *point.place()]
        options += ["--multipliers", *map(str, point.multipliers(steps, stretch))]
        options += ["--questions", "open", "capability", "--limit", str(prompts), *sweep]
        rubric = ["--rubric", _HARM_RUBRIC] if point.behavior == HARM else []
        asking, naming = (judging.asking, judging.naming) if judging else ((), ())
        apply = graph.shell(
            f"apply_{point.id}",
            ["tiller", "steer", "apply", *options],
            after=[made[_group(point), point.edit]],
            gpu_memory=gpu_memory,
            labels=point.labels,
        )
        score = graph.shell(
            f"score_{point.id}",
            ["tiller", "steer", "score", *options, *rubric, *asking],
            after=[apply, *(judging.ready if judging else [])],
            gpus=0,
            labels=point.labels,
        )
        plot = ["tiller", "steer", "plot", *options, *rubric, *naming]
        plots.append(graph.shell(f"plot_{point.id}", plot, after=[score], gpus=0, labels=point.labels))
    return plots


_Group = tuple[str, ContrastKind, bool]


def _group(point: Point) -> _Group:
    """Points of one group share vectors and editors files."""
    return point.model, point.contrast, point.logit


def _shared_tasks(
    graph: Graph, points: Sequence[Point], dataset: str, steps: int, stretch: float, gpu_memory: str | None
) -> dict[tuple[_Group, EditKind], Task]:
    """For every group one task that makes its vectors and, for each edit that needs editors, one that fits them → what a point
    with this edit waits for."""
    tasks: dict[tuple[_Group, EditKind], Task] = {}
    for group in dict.fromkeys(map(_group, points)):
        members = [point for point in points if _group(point) == group]
        first, name = members[0], "_".join([model_label(group[0]), group[1], *(["logit"] if group[2] else [])])
        labels = {axis: first.labels[axis] for axis in ("model", "contrast", "logit")}
        what = [*first.vectors(dataset), "--behavior", *dict.fromkeys(point.behavior for point in members)]
        vectors = graph.shell(f"vectors_{name}", ["tiller", "steer", "vectors", *what], gpu_memory=gpu_memory, labels=labels)
        edits: list[EditKind] = [point.edit for point in members]
        for edit in dict.fromkeys(edits):
            needed = vectors
            if edit in METHODS:
                fit = ["tiller", "steer", "fit", *what, "--method", edit, *_fit_options(members, edit, steps, stretch)]
                marks = labels | {"edit": edit}
                needed = graph.shell(f"fit_{name}_{edit}", fit, after=[vectors], gpu_memory=gpu_memory, labels=marks)
            tasks[group, edit] = needed
    return tasks


def _fit_options(members: Sequence[Point], method: EditKind, steps: int, stretch: float) -> list[str]:
    """Where the editors of a method will be used; of scrub, with which multipliers."""
    using = [point for point in members if point.edit == method]
    if method == "scrub":
        multipliers = dict.fromkeys(m for point in using for m in point.multipliers(steps, stretch))
        return ["--multipliers", *map(str, multipliers)]
    kinds = ["stream"] if any(point.layer is not None for point in using) else []
    return ["--site", *kinds, *(["attn", "mlp"] if any(point.layer is None for point in using) else [])]


def model_label(model: str) -> str:
    """A model's name in task ids: the last part of its path or hub id."""
    return re.sub(r"[^A-Za-z0-9.=+-]", "-", Path(model).name)[:32] or "model"
