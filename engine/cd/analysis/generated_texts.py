"""Texts written for the generative check, and what the two models make of them.

Owns asking and measuring; the test is `generative.py`'s. The models are those of the first cell's record, found again by the
names that it holds; no model is loaded where no statement was validated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.assistants.raw_replies import answered
from engine.cd.analysis.findings import Finding
from engine.cd.analysis.generative import Generated, association, association_p, requests
from engine.cd.analysis.settings import AnalyseSettings
from engine.cd.prompts.asked import asked_prompt
from engine.cd.score_settings import ScoredSettings
from engine.cd.texts.cells import cell_records
from engine.cd.texts.scorer import ExternalText, open_scorer
from engine.progress import notice
from engine.remote.types import Reply, Request
from engine.significance import benjamini_hochberg
from engine.workspace import Workspace

_FEWEST = 3  # texts of either side, below which nothing is tested


def generative_checks(
    workspace: Workspace,
    cells: Mapping[str, tuple[str, str]],
    findings: Sequence[Finding],
    ask: Callable[[Sequence[Request]], list[Reply]],
    settings: AnalyseSettings,
) -> tuple[Generated, ...]:
    """One for each validated label whose texts the assistant wrote; p-values corrected over all of them."""
    checked = [one for one in findings if one.kind == "label" and one.validated(settings.alpha)]
    written = [(one, _written(one, ask, settings)) for one in checked]
    enough = [
        (one, own) for one, own in written if min(sum(label for label, _ in own), sum(not label for label, _ in own)) >= _FEWEST
    ]
    if len(enough) < len(written):
        notice(f"{len(written) - len(enough)} statements are not checked: fewer than {_FEWEST} texts of a side were written.")
    if not enough:
        return ()
    first = next(iter(cells.values()))[0]
    scored = _scores(workspace, first, [text for _, own in enough for _, text in own])
    found = [_checked(one, [(label, scored[text]) for label, text in own], settings) for one, own in enough]
    adjusted = benjamini_hochberg([one.p for one in found])
    return tuple(replace(one, adjusted=value) for one, value in zip(found, adjusted, strict=True))


def _written(
    finding: Finding, ask: Callable[[Sequence[Request]], list[Reply]], settings: AnalyseSettings
) -> list[tuple[int, str]]:
    """(1 where the statement should be true, text), without empty ones."""
    asked = requests(
        finding.statement,
        settings.generated_texts,
        settings.assistant_max_tokens,
        settings.assistant_temperature,
        settings.seed,
    )
    labels = [1] * settings.generated_texts + [0] * settings.generated_texts
    replies = zip(labels, answered(ask(asked)), strict=True)
    return [(label, reply.text.strip()) for label, reply in replies if reply.text and reply.text.strip()]


def _scores(workspace: Workspace, cell: str, texts: Sequence[str]) -> dict[str, float]:
    """{text: loss_S - loss_C}, the mean over its tokens. Texts stand alone: the assistant had no prompt of a set's either."""
    record = cell_records(workspace)[cell]["settings"]
    kept = {name: record[name] for name in ScoredSettings.model_fields if name in record}
    scorer = open_scorer(ScoredSettings.model_validate(kept | {"measure_prompt": False, "form": "text"}))
    alone = asked_prompt("")
    measured = scorer.scored([ExternalText(alone, text) for text in dict.fromkeys(texts)])
    # ln S - ln C of a token is minus the difference of their losses
    return {text.text: -text.mean("log_ratio") for text in measured}


def _checked(finding: Finding, scored: Sequence[tuple[int, float]], settings: AnalyseSettings) -> Generated:
    known = [(label, score) for label, score in scored if np.isfinite(score)]
    labels, scores = [label for label, _ in known], [score for _, score in known]
    return Generated(
        finding.statement, finding.comparison, len(known), association(labels, scores), association(labels, scores, "auc"),
        association_p(labels, scores, settings.permutations, settings.seed), 1.0, finding.loss_shift,
    )  # fmt: skip
