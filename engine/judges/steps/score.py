"""`tiller judge score`: judge the responses of cells that this scorer has not judged yet."""

from __future__ import annotations

from engine.errors import InputError
from engine.judges.cells import Catalog, named_cells
from engine.judges.judge import fitting_rubric, no_rubric, open_judges
from engine.judges.rubric import Rubric
from engine.judges.scoring import describe, score, singles
from engine.judges.settings import ScoreSettings
from engine.store import read_catalog, read_responses
from engine.workspace import Workspace, find_workspace


def run(settings: ScoreSettings) -> str:
    workspace = find_workspace()
    recorded = read_catalog(workspace, "cells")
    groups: dict[str, tuple[Rubric, list[str]]] = {}
    for cell in named_cells(workspace, settings.cell):
        rubric = _rubric(settings, cell, recorded, workspace)
        groups.setdefault(rubric.id, (rubric, []))[1].append(cell)
    judges = open_judges(settings, [rubric for rubric, _ in groups.values()], workspace)
    said = []
    for judge, (rubric, cells) in zip(judges, groups.values(), strict=True):
        targets = singles(answer for cell in cells for answer in read_responses(workspace, cell).values())
        outcome = score(workspace, judge, targets, settings.again, f"score {rubric.id}: answers")
        said.append(f"score {rubric.id}: {describe(outcome, judge, 'answers')}")
    return "\n".join(said)


def _rubric(settings: ScoreSettings, cell: str, recorded: Catalog, workspace: Workspace) -> Rubric:
    made = recorded.get(cell, {}).get("settings", {})
    rubric = fitting_rubric(settings, made.get("dataset", ""), made.get("behavior", ""), workspace)
    if rubric is None:
        raise no_rubric(made.get("behavior", f"what cell {cell} was made for"), workspace)
    if rubric.kind == "pair":
        raise InputError(f"Rubric {rubric.id} compares two answers; use `tiller judge compare CELL CELL --rubric {rubric.id}`.")
    return rubric
