"""`tiller steer apply`: ask the steered model, every multiplier of the sweep as rows of the same batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from engine.data import ABItem, Prompt
from engine.errors import InputError
from engine.progress import Progress
from engine.steering.capability import Passage, asked_passages
from engine.steering.data import ChoiceSet, system_line
from engine.steering.experiment import Cell, Experiment, cells_of, describe, measured_cells, open_experiment
from engine.steering.measures import (
    CAPABILITY_KIND,
    CHOICE_KINDS,
    POSITIONS_KIND,
    ab_schema,
    capability_schema,
    positions_schema,
)
from engine.steering.settings import ApplySettings
from engine.store import (
    Segment,
    append_records,
    note_artifact,
    read_measurements,
    read_responses,
    record_cell,
    response_id,
    responses_folder,
    write_measurements,
    writer_name,
)

if TYPE_CHECKING:
    import pyarrow

    from engine.forward import Steering
    from engine.generation import Row
    from engine.likelihood import Query
    from engine.models import LoadedModel
    from engine.steering.arms import Arms

_ROWS_PER_SEGMENT = 8192  # measured rows between two segments: what a killed step computes again
_Asked = TypeVar("_Asked", ABItem, Passage)
_NAMES: dict[ChoiceSet, str] = {"ab": "A/B", "truthfulqa": "TruthfulQA", "mmlu": "MMLU"}


@dataclass(frozen=True)
class _Pending:
    """What is not there yet, each with the index of its cell; item by item, so that an item's rows share a batch."""

    choices: Mapping[ChoiceSet, Sequence[tuple[int, ABItem]]]
    passages: Sequence[tuple[int, Passage]]
    prompts: Sequence[tuple[int, Prompt, int]]

    def __bool__(self) -> bool:
        return any((*self.choices.values(), self.passages, self.prompts))

    def describe(self) -> str:
        counted = [
            *((len(pending), f"{_NAMES[kind]} measurements") for kind, pending in self.choices.items()),
            (len(self.prompts), "answers"),
            (len(self.passages), "capability passages"),
        ]
        return ", ".join(f"{count} {what}" for count, what in counted if count)


def run(settings: ApplySettings) -> str:
    experiment = open_experiment(settings)
    sweep, cells = cells_of(experiment, settings), measured_cells(experiment, settings)
    beside = "" if {cell.key for cell in cells} == {cell.key for cell in sweep} else ", beside the unsteered model"
    what = f"apply {settings.behavior}: {describe(sweep)}{beside}"
    pending = _pending(experiment, cells, settings)
    if not pending:
        return f"{what}: already there, {len(cells)} cells"
    from engine.models import load_source  # torch, a second or more: only when there is something to compute
    from engine.steering.arms import open_arms

    arms = open_arms(experiment, settings)
    model = load_source(experiment.source, settings.quantize, settings.device_map, settings.dtype)
    arms.check(model, cells)
    _Asking(experiment, settings, cells, model, arms, pending).all()
    return f"{what}: {pending.describe()} in {len(cells)} cells"


def _pending(experiment: Experiment, cells: Sequence[Cell], settings: ApplySettings) -> _Pending:
    questions = experiment.data.test.first(settings.limit, settings.questions)
    kinds: tuple[ChoiceSet, ...] = get_args(ChoiceSet)
    items: dict[ChoiceSet, tuple[ABItem, ...]] = {kind: questions.choices(kind) for kind in kinds if questions.choices(kind)}
    passages = asked_passages(experiment, settings) if "capability" in settings.questions else ()
    if not items and not questions.prompts and not passages:
        raise InputError(
            f"The data set {settings.dataset} has nothing to ask about '{settings.behavior}' with "
            f"--questions {' '.join(settings.questions)}; choose other questions."
        )
    choices: dict[ChoiceSet, list[tuple[int, ABItem]]] = {
        kind: _unmeasured(experiment, cells, CHOICE_KINDS[kind], "item_id", asked) for kind, asked in items.items()
    }
    return _Pending(
        choices,
        _unmeasured(experiment, cells, CAPABILITY_KIND, "passage_id", passages),
        _unwritten(experiment, cells, questions.prompts, settings.samples),
    )


def _unmeasured(
    experiment: Experiment, cells: Sequence[Cell], kind: str, id_column: str, asked: Sequence[_Asked]
) -> list[tuple[int, _Asked]]:
    if not asked:
        return []
    known = [read_measurements(experiment.workspace, kind, cell.key, id_column) for cell in cells]
    return [(index, one) for one in asked for index in range(len(cells)) if one.id not in known[index]]


def _unwritten(
    experiment: Experiment, cells: Sequence[Cell], prompts: Sequence[Prompt], samples: int
) -> list[tuple[int, Prompt, int]]:
    """(cell index, prompt, sample) of every answer that is not there."""
    if not prompts:
        return []
    written = [read_responses(experiment.workspace, cell.key).keys() for cell in cells]
    return [
        (index, prompt, sample)
        for prompt in prompts
        for index, cell in enumerate(cells)
        for sample in range(samples)
        if response_id(cell.key, prompt.id, sample) not in written[index]
    ]


class _Asking:
    """A model that is asked what is pending, and the records that this makes."""

    def __init__(
        self,
        experiment: Experiment,
        settings: ApplySettings,
        cells: Sequence[Cell],
        model: LoadedModel,
        arms: Arms,
        pending: _Pending,
    ) -> None:
        from engine.forward import Steering

        self._experiment, self._settings, self._cells, self._model = experiment, settings, cells, model
        self._pending = pending
        self._writer = writer_name()
        self._facts = [arms.relative_norms(cell) for cell in cells]
        # only the oracle edit does something else to questions of another class
        labels = {prompt.label for _, prompt, _ in pending.prompts} if settings.edit == "oracle" else {None}
        self._labels = sorted(labels, key=str)
        table = [arms.arm(cell, label) for cell in cells for label in self._labels]
        self._steering: Steering = Steering(table, settings.positions)
        self._line = (
            None
            if settings.system_prompt == "none"
            else system_line(settings.dataset, settings.behavior, settings.system_prompt, experiment.workspace.root)
        )

    def all(self) -> None:
        """What cannot be asked is refused before anything is written."""
        from engine.generation import check_rows
        from engine.sampling import Sampling
        from engine.steering.application import rows_of
        from engine.steering.capability import queries_of

        settings, pending = self._settings, self._pending
        sampling = Sampling(settings.max_new_tokens, settings.temperature, settings.top_k, settings.top_p)
        rows = rows_of(self._model, self._cells, pending.prompts, self._prompt_arm, self._line, settings)
        check_rows(self._model, rows, sampling)
        queries = queries_of(self._model, pending.passages, self._cell_arm)
        for kind, items in pending.choices.items():
            self._choices(kind, items)
        if queries:
            self._capability(queries)
        if rows:
            self._answers(rows, sampling)

    def _cell_arm(self, cell: int) -> int:
        return cell * len(self._labels)

    def _prompt_arm(self, cell: int, prompt: Prompt) -> int:
        known = prompt.label if self._settings.edit == "oracle" else None
        return self._cell_arm(cell) + self._labels.index(known)

    def _choices(self, kind: ChoiceSet, pending: Sequence[tuple[int, ABItem]]) -> None:
        from engine.steering.ab import measure
        from engine.steering.application import said_with

        total = sum(len(item.lead_ins) for _, item in pending)
        with Progress(f"apply {self._settings.behavior}: {_NAMES[kind]} rows", total) as progress:
            for start in range(0, len(pending), _ROWS_PER_SEGMENT):
                part = pending[start : start + _ROWS_PER_SEGMENT]
                asked = [(self._cell_arm(cell), replace(item, chat=said_with(self._line, item.chat))) for cell, item in part]
                records = measure(
                    self._model, asked, self._steering, self._settings.batch_size, self._settings.marker, progress.advance
                )
                self._record(CHOICE_KINDS[kind], [cell for cell, _ in part], records, ab_schema())

    def _capability(self, queries: Sequence[Query]) -> None:
        from engine.steering.capability import measure

        pending = self._pending.passages
        with Progress(f"apply {self._settings.behavior}: passages", len(pending)) as progress:
            for start in range(0, len(pending), _ROWS_PER_SEGMENT):
                part, asked = pending[start : start + _ROWS_PER_SEGMENT], queries[start : start + _ROWS_PER_SEGMENT]
                found = measure(self._model, asked, self._steering, self._settings.batch_size, progress.advance)
                records = [{"passage_id": passage.id} | one for (_, passage), one in zip(part, found, strict=True)]
                self._record(CAPABILITY_KIND, [cell for cell, _ in part], records, capability_schema())

    def _record(self, kind: str, cells: Iterable[int], records: Iterable[dict[str, Any]], schema: pyarrow.Schema) -> None:
        by_cell: dict[int, list[dict[str, Any]]] = {}
        for index, record in zip(cells, records, strict=True):
            by_cell.setdefault(index, []).append(record | {"multiplier": self._cells[index].multiplier})
        for index, rows in by_cell.items():
            self._record_cell(index)
            key = self._cells[index].key
            path = write_measurements(self._experiment.workspace, kind, key, self._writer, rows, schema)
            note_artifact(self._experiment.workspace, path, "measurements", key)

    def _record_cell(self, index: int) -> None:
        cell, norms = self._cells[index], self._facts[index]
        facts = {"relative_norms": norms} if norms else None
        record_cell(self._experiment.workspace, cell.key, cell.settings, cell.inputs, facts)

    def _answers(self, rows: Sequence[Row], sampling: Any) -> None:
        from engine.steering.application import answers

        workspace, pending = self._experiment.workspace, self._pending.prompts
        index_of = {cell.key: index for index, cell in enumerate(self._cells)}
        maps: dict[str, list[dict[str, Any]]] = {}
        with ExitStack() as stack, Progress(f"apply {self._settings.behavior}: answers", len(pending)) as progress:
            segments = {key: stack.enter_context(Segment(responses_folder(workspace, key), self._writer)) for key in index_of}
            for answer in answers(self._model, self._cells, self._steering, pending, rows, sampling, self._settings.batch_size):
                cell = answer.response.cell
                if cell not in maps:
                    self._record_cell(index_of[cell])
                append_records(segments[cell], [answer.response])
                maps.setdefault(cell, []).append(
                    {"response_id": answer.response.id, "prompt_tokens": answer.prompt_tokens, "steered": answer.steered}
                )
                progress.advance()
        for cell, places in maps.items():
            path = write_measurements(workspace, POSITIONS_KIND, cell, self._writer, places, positions_schema())
            note_artifact(workspace, path, "measurements", cell)
        for cell, segment in segments.items():
            if segment.path is not None:
                note_artifact(workspace, segment.path, "responses", cell)
