"""What was measured at the cells of a sweep, each thing as something a curve can be drawn of: letters, knowledge, judgements.

Owns which records a measure reads, what its axis says, and whose judgements are shown. No torch.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.errors import EngineError
from engine.families import SiteKind
from engine.judges.check import standing
from engine.judges.judge import Judge, fitting_rubric, open_judge
from engine.judges.rubric import Rubric
from engine.judges.summary import is_share, observed
from engine.steering.capability import asked_passages
from engine.steering.data import ChoiceSet
from engine.steering.experiment import Cell, Experiment, all_cells, open_experiment, unsteered
from engine.steering.figures.letters import letter_value
from engine.steering.figures.points import Labels, Reader, Units
from engine.steering.figures.settings import Kind, PlotSettings
from engine.steering.measures import CAPABILITY_KIND, CHOICE_KINDS
from engine.steering.sources import open_source
from engine.store import read_catalog, read_measurements, read_responses, read_scores

TITLES: dict[Kind, str] = {"ab": "A/B letters", "open": "open answers", "truthfulqa": "TruthfulQA", "mmlu": "MMLU"}


@dataclass(frozen=True)
class Measure:
    """`group`: of prompts of several labels, these. `y_range` None: the axis fits what is drawn. `standing`: of the judge."""

    kind: Kind
    group: str
    y_label: str
    y_range: tuple[float, float] | None
    units: str
    share: bool
    read: Reader = field(repr=False)
    standing: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.kind]


@dataclass(frozen=True)
class Sweep:
    """One behaviour's cells, and what there is to draw of them. `passages`: those whose perplexity is shown."""

    experiment: Experiment
    settings: PlotSettings
    own: list[Cell]
    controls: list[Cell]
    unsteered: Cell
    passages: tuple[str, ...]
    measures: list[Measure]
    judge: Judge | None

    @property
    def behavior(self) -> str:
        return self.settings.behavior

    def at_layers(self) -> list[tuple[tuple[int, ...], list[Cell], list[Cell]]]:
        """The cells and the controls of each steered layer (or of all that are steered together)."""
        return [
            (layers, _where(self.own, layers), _where(self.controls, layers))
            for layers in sorted({cell.layers for cell in self.own})
        ]

    def spent(self, cell: Cell) -> Mapping[str, Mapping[str, float]]:
        """{passage: {"nll", "tokens"}} of those that are shown."""
        rows = read_measurements(self.experiment.workspace, CAPABILITY_KIND, cell.key, "passage_id")
        return {name: rows[name] for name in self.passages if name in rows}

    def inputs(self) -> dict[str, str]:
        """What the figure's key says it is drawn of: also how much of it, which the cells' keys leave open."""
        much = {name: str(getattr(self.settings, name)) for name in ("limit", "samples")}
        shown = {"passages": hashlib.sha256(" ".join(self.passages).encode()).hexdigest()[:16]}
        return self.own[0].inputs | much | shown | ({"scorer": self.judge.scorer} if self.judge else {})


def open_sweep(settings: PlotSettings, every_layer: bool = False) -> Sweep:
    """`every_layer`: where no layers are named, all instead of the chosen one."""
    experiment = open_experiment(settings)
    if every_layer and not settings.layer:
        kinds: tuple[SiteKind, ...] = ("attn", "mlp") if settings.site == "sublayers" else (settings.site,)
        settings = settings.model_copy(update={"layer": open_source(experiment, settings).layers(kinds)})
    sought = settings.apply_settings()
    own, controls = all_cells(experiment, sought)
    judge = _judge(experiment, settings) if "open" in settings.measure else None
    passages = tuple(one.id for one in asked_passages(experiment, settings))
    alone, measures = unsteered(experiment, sought), _measures(experiment, settings, judge)
    return Sweep(experiment, settings, own, controls, alone, passages, measures, judge)


def asked_letters(
    experiment: Experiment, settings: PlotSettings, kind: ChoiceSet, cell: Cell
) -> Mapping[str, Mapping[str, Any]]:
    """The records of the letters that these settings ask for: under a limit, the same as in the step that measured them."""
    asked = {item.id for item in experiment.data.test.first(settings.limit).choices(kind)}
    rows = read_measurements(experiment.workspace, CHOICE_KINDS[kind], cell.key, "item_id")
    return {item: row for item, row in rows.items() if item in asked}


def nothing_to_draw(behaviors: Sequence[str], step: str) -> EngineError:
    names = " or ".join(f"'{behavior}'" for behavior in behaviors)
    return EngineError(
        f"There is nothing to {step} about {names} for these settings; "
        "run `tiller steer apply` and `tiller steer score` with the same options first."
    )


def _where(cells: Sequence[Cell], layers: tuple[int, ...]) -> list[Cell]:
    return [cell for cell in cells if cell.layers == layers]


def _judge(experiment: Experiment, settings: PlotSettings) -> Judge | None:
    """Whose judgements are shown; None where no open answers can have been judged."""
    if not experiment.data.test.prompts:
        return None
    rubric = fitting_rubric(settings, settings.dataset, settings.behavior, experiment.workspace)
    return open_judge(settings, rubric, experiment.workspace) if rubric else None


def _measures(experiment: Experiment, settings: PlotSettings, judge: Judge | None) -> list[Measure]:
    found: list[Measure] = []
    for kind in settings.measure:
        if kind == "open":
            found += _judged(experiment, settings, judge) if judge else []
        else:
            label = "mean probability of the matching answer" if kind == "ab" else "mean probability of the correct answer"
            found.append(Measure(kind, "", label, (0, 1), "items", False, _letters(experiment, settings, kind)))
    return found


def _letters(experiment: Experiment, settings: PlotSettings, kind: ChoiceSet) -> Reader:
    """p(matching or correct letter) of the measured items, of those that a limited run asks."""

    def read(cell: Cell) -> tuple[Units, Labels]:
        rows = asked_letters(experiment, settings, kind, cell)
        values = {item: letter_value(row, settings.legacy_letters) for item, row in rows.items()}
        return {item: [value] for item, value in values.items() if value is not None}, {}

    return read


def _judged(experiment: Experiment, settings: PlotSettings, judge: Judge) -> list[Measure]:
    """Of a yes/no rubric the share of answers judged yes, a tie half; else the mean of the judge's values. One measure for each
    label of prompts: steering moves harmful and harmless ones in opposite directions."""
    workspace, rubric = experiment.workspace, judge.rubric
    prompts = experiment.data.test.first(settings.limit).prompts
    scores = read_scores(workspace, judge.scorer)
    known = standing(read_catalog(workspace, "checks").get(judge.scorer), rubric)
    label, limits = _axis(rubric)

    def reader(wanted: set[str]) -> Reader:
        def read(cell: Cell) -> tuple[Units, Labels]:
            found: Units = {}
            labels: Counter[str] = Counter()
            for answer in read_responses(workspace, cell.key).values():
                score = scores.get(((answer.id,), (answer.text_sha256,), None))
                if answer.prompt_id not in wanted or answer.sample >= settings.samples or score is None:
                    continue
                labels[score.label] += 1
                value = observed(score, rubric)
                if value is not None:
                    found.setdefault(answer.prompt_id, []).append(value)
            return found, labels

        return read

    groups = sorted({prompt.label or "" for prompt in prompts})
    return [
        Measure(
            "open", group, label, limits, "prompts", is_share(rubric),
            reader({prompt.id for prompt in prompts if (prompt.label or "") == group}),
            f"judge {judge.name}: {known}",
        )
        for group in groups
    ]  # fmt: skip


def _axis(rubric: Rubric) -> tuple[str, tuple[float, float] | None]:
    """What the mean of a rubric's judgements is called, and where it lies."""
    name = rubric.id.removeprefix("demo.")
    if rubric.kind == "scale":
        low, high = rubric.scale
        lower = " (lower is more)" if rubric.direction == "lower" else ""
        return f"mean score, {name}, {low:g} to {high:g}{lower}", rubric.scale
    if is_share(rubric):
        said = rubric.labels()[0]
        return f"share of answers judged {name}" + ("" if said == "yes" else f": {said}"), (0, 1)
    return f"mean of the rule {name}", None
