"""`tiller judge compare`: which of two cells' responses to the same prompt, in both orders, since judges favour a place."""

from __future__ import annotations

from engine.errors import EngineError, InputError
from engine.judges.cells import named_cell
from engine.judges.judge import open_judge, rubrics_folder
from engine.judges.rubric import load_rubric
from engine.judges.scoring import describe, pairs, score
from engine.judges.settings import CompareSettings
from engine.store import read_responses
from engine.workspace import find_workspace


def run(settings: CompareSettings) -> str:
    workspace = find_workspace()
    rubric = load_rubric(settings.rubric or "pair", settings.attribute, rubrics_folder(workspace))
    if rubric.kind != "pair":
        raise InputError(
            f"Rubric {rubric.id} judges one answer; use `tiller judge score --rubric {rubric.id}`, or compare with pair."
        )
    first, second = (named_cell(workspace, prefix) for prefix in (settings.first, settings.second))
    if first == second:
        raise InputError(f"Both names mean the cell {first}; name two.")
    judge = open_judge(settings, rubric, workspace)
    answers = [read_responses(workspace, cell).values() for cell in (first, second)]
    targets = pairs(*answers, orders=("ab", "ba") if settings.orders == "both" else ("ab",))
    if not targets:
        raise EngineError(f"The cells {first} and {second} have no prompt and sample in common; there is nothing to compare.")
    outcome = score(workspace, judge, targets, settings.again, f"compare by {rubric.id}: questions")
    return f"compare {first[:8]} with {second[:8]}: {describe(outcome, judge, 'questions')}"
