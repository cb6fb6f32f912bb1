"""`tiller judge table`: means by cell and scorer, with intervals, counts of what is no answer, and each judge's check."""

from __future__ import annotations

import textwrap

from engine.errors import EngineError
from engine.judges.check import standing
from engine.judges.settings import TableSettings
from engine.judges.summary import MUCH_UNANSWERED, recorded_scorers, rows, table
from engine.progress import notice
from engine.store import read_catalog
from engine.text_table import WIDTH
from engine.workspace import find_workspace


def run(settings: TableSettings) -> str:
    workspace = find_workspace()
    scorers = {
        name: scorer
        for name, scorer in recorded_scorers(workspace).items()
        if not settings.scorer or any(part in name for part in settings.scorer)
    }
    found = rows(workspace, scorers, settings.cell)
    if not found:
        raise EngineError("Nothing of this has been judged yet; run `tiller judge score`, or leave out words that narrow it.")
    print(table(found, scorers, read_catalog(workspace, "cells")))
    checks = read_catalog(workspace, "checks")
    shown = sorted({row.scorer for row in found})
    print("\njudges")
    for name in shown:
        said = standing(checks.get(name), scorers[name].rubric)
        print(f"  {name}\n{textwrap.indent(textwrap.fill(said, WIDTH - 4), ' ' * 4)}")
    print()
    if sparse := sum(row.leaves_out_much for row in found):
        notice(f"warning: {sparse} of {len(found)} rows (!) leave out more than {MUCH_UNANSWERED:.0%}, which got no answer")
    return f"table: {_number(len(found), 'row')} by {_number(len(shown), 'scorer')}; intervals are over prompts"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
