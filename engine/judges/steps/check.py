"""`tiller judge check`: known cases of one or more rubrics, and whether the judge is to be trusted with them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.errors import EngineError, InputError
from engine.judges.check import Check, examine, questions, record_check
from engine.judges.judge import Judge, open_judges, rubrics_folder
from engine.judges.rubric import DEMO, Rubric, load_rubric, rubric_names
from engine.judges.settings import CheckSettings
from engine.judges.summary import counts_of_no_answer
from engine.judges.verdict import Verdict
from engine.progress import Progress
from engine.statistics import Share
from engine.store import note_artifact
from engine.text_table import Column, text_table
from engine.workspace import Workspace, find_workspace


def run(settings: CheckSettings) -> str:
    workspace = find_workspace()
    rubrics = _rubrics(settings, workspace)
    judges = open_judges(settings, rubrics, workspace, anew=True)  # the model behind a name may have changed
    other = settings.other()
    others = open_judges(other, rubrics, workspace, anew=True) if other else []
    said, others_said = _ask(judges), _ask(others)
    checks: list[Check] = []
    for number, (judge, verdicts) in enumerate(zip(judges, said, strict=True)):
        against = (others[number].scorer, others_said[number]) if others else None
        checks.append(examine(judge.scorer, judge.name, judge.rubric, verdicts, settings.accuracy, against))
        path = record_check(workspace, checks[-1], judge.rubric, verdicts, time.time())
        note_artifact(workspace, path, "checks", judge.scorer)
    print(_table(checks))
    spent = next((f"; {text}" for judge in judges if (text := judge.backend.spent())), "")
    doubted = [check for check in checks if not check.trusted]
    if doubted and len(checks) == 1:
        raise EngineError(f"do not trust {judges[0].name} with {checks[0].rubric}: {'; '.join(checks[0].doubts)}.")
    if doubted:
        reasons = "\n".join(f"  {check.rubric}: {'; '.join(check.doubts)}" for check in doubted)
        raise EngineError(f"do not trust {judges[0].name} with {len(doubted)} of {len(checks)} rubrics:\n{reasons}")
    names = f"{len(checks)} rubrics" if len(checks) > 1 else checks[0].rubric
    return f"check: trust {judges[0].name} with {names}{spent}"


def _rubrics(settings: CheckSettings, workspace: Workspace) -> list[Rubric]:
    folder = rubrics_folder(workspace)
    names: dict[str, None] = {}
    for name in settings.rubric:
        demo = [one for one in rubric_names(folder) if one.startswith(DEMO)]
        names.update(dict.fromkeys(demo if f"{name}." == DEMO else [name]))
    rubrics = [load_rubric(name, settings.attribute, folder) for name in names]
    for rubric in rubrics:
        if not rubric.known:
            raise InputError(f"Rubric {rubric.id} has no known cases to check a judge with; add [[known]] tables to its file.")
    return rubrics


def _ask(judges: Sequence[Judge]) -> list[list[Verdict]]:
    """What each says of its rubric's questions, in their order."""
    if not judges:
        return []
    asked = [questions(judge.rubric) for judge in judges]
    answered: list[list[Verdict]] = []
    with Progress(f"check by {judges[0].name}: questions", sum(map(len, asked))) as progress:
        for judge, subjects in zip(judges, asked, strict=True):
            found: dict[int, Verdict] = {}
            for index, verdict in judge.verdicts(subjects):
                found[index] = verdict
                progress.advance()
            answered.append([found[index] for index in range(len(subjects))])
    return answered


def _table(checks: Sequence[Check]) -> str:
    """One line for each rubric; columns about pairs, scales and another judge only where there are any."""
    columns: list[Column] = [
        ("verdict", ["trust" if check.trusted else "DO NOT TRUST" for check in checks]),
        ("direction", [check.direction for check in checks]),
        ("accuracy", [_share(check.accuracy) for check in checks]),
        ("n", [str(check.accuracy.total) for check in checks]),
        counts_of_no_answer([check.labels for check in checks]),
    ]
    if any(check.above is not None for check in checks):
        columns.append(("AUC", ["" if check.above is None else f"{check.above:.2f}" for check in checks]))
    if any(check.first_shown for check in checks):
        columns.append(("first shown wins", [_share(check.first_shown) for check in checks]))
        columns.append(("same in both orders", [_share(check.consistency) for check in checks]))
    if any(check.against for check in checks):
        columns.append((_kappa_heading(checks), [_kappa(check) for check in checks]))
    return text_table(("rubric", [check.rubric for check in checks]), columns) + "\n"


def _share(share: Share | None) -> str:
    if share is None or share.total == 0:
        return ""
    return f"{share.value:.2f} [{share.low:.2f}–{share.high:.2f}]"


def _kappa_heading(checks: Sequence[Check]) -> str:
    scorer = next(check.against.scorer for check in checks if check.against)
    return f"κ with {scorer.partition('.')[0]}"


def _kappa(check: Check) -> str:
    found = check.against.agreement if check.against else None
    if found is None:
        return "no case that both answered"
    kappa = "undefined" if found.kappa is None else f"{found.kappa:.2f}"
    return f"{kappa} (same {found.same:.2f}, n = {found.n})"
