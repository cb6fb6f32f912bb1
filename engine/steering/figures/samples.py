"""Answers to the same prompts at several multipliers, side by side. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.steering.experiment import Cell
from engine.steering.figures.measured import Sweep
from engine.steering.figures.sweep import where
from engine.store import Response, read_responses, read_scores

_MOST_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """`said`: the judge's label and, of a scale, its value; empty where it was not judged."""

    text: str
    said: str


@dataclass(frozen=True, slots=True)
class Row:
    """`answers`: under what was done ("unsteered", "+1 × v", "0 × v with leace"), in the order of the multipliers."""

    prompt: str
    where: str
    answers: Mapping[str, Answer]


def shown_answers(sweep: Sweep, most: int) -> list[Row]:
    """The first sample of so many prompts, of every label in turn, at the ends, the middle and half way."""
    layers = sweep.at_layers()
    if not layers or not most:
        return []
    _, own, _ = layers[0]
    cells = _spread_out(own)
    if all(cell.key != sweep.unsteered.key for cell in cells):
        cells = [sweep.unsteered, *cells]
    answers = {_named(sweep, cell): _first_samples(sweep, cell) for cell in cells}
    prompts = [prompt.id for prompt in sweep.experiment.data.test.first(most).prompts]
    scores = read_scores(sweep.experiment.workspace, sweep.judge.scorer) if sweep.judge else {}
    rows = []
    for prompt in prompts:
        given = {at: known[prompt] for at, known in answers.items() if prompt in known}
        told: dict[str, Answer] = {}
        for at, answer in given.items():
            score = scores.get(((answer.id,), (answer.text_sha256,), None))
            value = f" {score.value:g}" if score and score.value is not None and score.label == "scored" else ""
            told[at] = Answer(answer.text, f"{score.label}{value}" if score else "")
        if told:
            rows.append(Row(next(iter(given.values())).prompt, where(own[0]), told))
    return rows


def _named(sweep: Sweep, cell: Cell) -> str:
    if cell.key == sweep.unsteered.key:
        return "unsteered"
    edit = "" if cell.settings.edit == "none" else f" with {cell.settings.edit}"
    return (f"{cell.multiplier:+g} × v" if cell.multiplier else "0 × v") + edit


def _spread_out(cells: list[Cell]) -> list[Cell]:
    """The lowest, the highest, 0 and half way, where a sweep has more than a page is wide."""
    ordered = sorted(cells, key=lambda cell: cell.multiplier)
    if len(ordered) <= _MOST_COLUMNS:
        return ordered
    step = (len(ordered) - 1) / (_MOST_COLUMNS - 1)
    return [ordered[round(step * place)] for place in range(_MOST_COLUMNS)]


def _first_samples(sweep: Sweep, cell: Cell) -> dict[str, Response]:
    found = read_responses(sweep.experiment.workspace, cell.key).values()
    return {answer.prompt_id: answer for answer in found if answer.sample == 0}
