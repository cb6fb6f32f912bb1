"""`tiller judge table`: means by cell and scorer, with intervals, counts of what is no answer, and each judge's check."""

from __future__ import annotations

from typing import Any

from engine.errors import EngineError
from engine.judges.check import standing
from engine.judges.rubric import Rubric
from engine.judges.settings import TableSettings
from engine.judges.summary import rows, table
from engine.store import read_catalog
from engine.workspace import find_workspace


def run(settings: TableSettings) -> str:
    workspace = find_workspace()
    recorded = {
        name: record
        for name, record in read_catalog(workspace, "scorers").items()
        if not settings.scorer or any(part in name for part in settings.scorer)
    }
    found = rows(workspace, {name: _rubric(record) for name, record in recorded.items()}, settings.cell)
    if not found:
        raise EngineError("Nothing of this has been judged yet; run `tiller judge score`, or leave out words that narrow it.")
    print(table(found, recorded, read_catalog(workspace, "cells")))
    checks = read_catalog(workspace, "checks")
    scorers = sorted({row.scorer for row in found})
    print("\njudges")
    for scorer in scorers:
        print(f"  {scorer}: {standing(checks.get(scorer), recorded[scorer]['rubric']['id'])}")
    print()
    return f"table: {len(found)} rows by {len(scorers)} scorer{'s' if len(scorers) > 1 else ''}; intervals are over prompts"


def _rubric(record: dict[str, Any]) -> Rubric:
    return Rubric.model_validate(record["rubric"])
