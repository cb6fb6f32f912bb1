"""`tiller steer apply`: ask the steered model, every multiplier of the sweep as rows of the same batches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from engine.data import ABItem, Prompt
from engine.errors import InputError
from engine.progress import Progress
from engine.steering.experiment import Cell, Experiment, cells_of, describe, open_experiment
from engine.steering.measures import AB_KIND, POSITIONS_KIND, ab_schema, positions_schema
from engine.steering.settings import ApplySettings
from engine.store import (
    Segment,
    append_records,
    load_tensors,
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
    from engine.forward import Steering
    from engine.generation import Row
    from engine.models import LoadedModel
    from engine.sampling import Sampling
    from engine.steering.application import Pending

_ROWS_PER_SEGMENT = 8192  # A/B rows between two segments: what a killed step computes again


def run(settings: ApplySettings) -> str:
    experiment = open_experiment(settings)
    cells = cells_of(experiment, settings, experiment.vectors_header())
    questions = experiment.data.test.first(settings.limit, settings.questions)
    if not questions.items and not questions.prompts:
        raise InputError(
            f"The data set {settings.dataset} has nothing to ask about '{settings.behavior}' with "
            f"--questions {' '.join(settings.questions)}; choose other questions."
        )
    items = _pending_items(experiment, cells, questions.items)
    prompts = _pending_prompts(experiment, cells, questions.prompts, settings.samples)
    what = f"apply {settings.behavior}: {describe(cells)}"
    if not items and not prompts:
        return f"{what}: already there, {len(cells)} cells"
    from engine.forward import Steering  # torch, a second or more: only when there is something to compute
    from engine.generation import check_rows
    from engine.models import load_source
    from engine.sampling import Sampling
    from engine.steering.application import arm_of, rows_of

    model = load_source(experiment.source, settings.quantize, settings.device_map, settings.dtype)
    tensors = load_tensors(experiment.vectors_path)
    steering = Steering([arm_of(cell, tensors) for cell in cells], settings.positions)
    sampling = Sampling(settings.max_new_tokens, settings.temperature, settings.top_k, settings.top_p)
    rows = rows_of(model, cells, prompts, settings.positions, settings.seed, settings.marker)
    check_rows(model, rows, sampling)  # what cannot be asked is refused before anything is written
    if items:
        _measure(experiment, model, cells, steering, items, settings)
    if prompts:
        _write(experiment, model, cells, steering, prompts, rows, sampling, settings)
    return f"{what}: {len(items)} A/B measurements, {len(prompts)} answers in {len(cells)} cells"


def _pending_items(experiment: Experiment, cells: Sequence[Cell], items: Sequence[ABItem]) -> list[tuple[int, ABItem]]:
    """(cell index, item) of every measurement that is not there, item by item so that an item's rows share a batch."""
    if not items:
        return []
    known = [read_measurements(experiment.workspace, AB_KIND, cell.key, "item_id") for cell in cells]
    return [(index, item) for item in items for index in range(len(cells)) if item.id not in known[index]]


def _pending_prompts(
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


def _measure(
    experiment: Experiment,
    model: LoadedModel,
    cells: Sequence[Cell],
    steering: Steering,
    pending: Sequence[tuple[int, ABItem]],
    settings: ApplySettings,
) -> None:
    from engine.steering.ab import measure

    writer = writer_name()
    total = sum(len(item.lead_ins) for _, item in pending)
    with Progress(f"apply {settings.behavior}: A/B rows", total) as progress:
        for start in range(0, len(pending), _ROWS_PER_SEGMENT):
            asked = pending[start : start + _ROWS_PER_SEGMENT]
            records = measure(model, asked, steering, settings.batch_size, settings.marker, progress.advance)
            by_cell: dict[int, list[dict[str, Any]]] = {}
            for (index, _), record in zip(asked, records, strict=True):
                by_cell.setdefault(index, []).append(record | {"multiplier": cells[index].multiplier})
            for index, rows in by_cell.items():
                key = cells[index].key
                record_cell(experiment.workspace, key, cells[index].settings, cells[index].inputs)
                path = write_measurements(experiment.workspace, AB_KIND, key, writer, rows, ab_schema())
                note_artifact(experiment.workspace, path, "measurements", key)


def _write(
    experiment: Experiment,
    model: LoadedModel,
    cells: Sequence[Cell],
    steering: Steering,
    pending: Pending,
    rows: Sequence[Row],
    sampling: Sampling,
    settings: ApplySettings,
) -> None:
    from engine.steering.application import answers

    workspace, writer = experiment.workspace, writer_name()
    by_key = {cell.key: cell for cell in cells}
    maps: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack, Progress(f"apply {settings.behavior}: answers", len(pending)) as progress:
        segments = {cell.key: stack.enter_context(Segment(responses_folder(workspace, cell.key), writer)) for cell in cells}
        for answer in answers(model, cells, steering, pending, rows, sampling, settings.batch_size):
            cell = answer.response.cell
            if cell not in maps:
                record_cell(workspace, cell, by_key[cell].settings, by_key[cell].inputs)
            append_records(segments[cell], [answer.response])
            maps.setdefault(cell, []).append(
                {"response_id": answer.response.id, "prompt_tokens": answer.prompt_tokens, "steered": answer.steered}
            )
            progress.advance()
    for cell, places in maps.items():
        path = write_measurements(workspace, POSITIONS_KIND, cell, writer, places, positions_schema())
        note_artifact(workspace, path, "measurements", cell)
    for cell, segment in segments.items():
        if segment.path is not None:
            note_artifact(workspace, segment.path, "responses", cell)
