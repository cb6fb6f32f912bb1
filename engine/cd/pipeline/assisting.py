"""The assistant as a proposer: it writes prompts, themes, hypotheses, experiments and analyses, all of them read strictly.

Owns what a reply must hold to be used. What cannot be read is left out and counted; nothing is put in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.cd.pipeline import wording
from engine.cd.pipeline.asking import Asker
from engine.cd.pipeline.fields import text_of, texts_of
from engine.cd.pipeline.hypotheses import read_claim, read_experiment
from engine.cd.pipeline.proposing import Proposal, notable_terms
from engine.cd.pipeline.survey import Cluster
from engine.cd.pipeline.view import View
from engine.data_making.duplicates import normalised
from engine.data_making.parsing import Unfit

_LIST = 50  # entries of a list that are kept
_TERMS_SHOWN = 12


class AssistantProposer:
    """experiment_prompts: how many an experiment is to have."""

    def __init__(self, asker: Asker, experiment_prompts: int) -> None:
        self._asker, self._experiment_prompts = asker, experiment_prompts

    def prompts(self, view: View, count: int) -> list[str]:
        question = wording.prompts(view, count)
        return (self._asker.read(question, read_prompts_of) or [])[:count]

    def survey(self, view: View, found: Sequence[Cluster]) -> dict[str, Any]:
        """Unread themes are None, so that clusters keep their places."""
        themes = self._asker.read_all([wording.theme(view, cluster) for cluster in found], _theme)
        question = wording.overall(view, [theme for theme in themes if theme], self._experiment_prompts)
        return {"clusters": themes, "overall": self._asker.read(question, _overall)}

    def hypotheses(self, view: View, count: int) -> list[Proposal]:
        known = {normalised(one.text) for one in view.hypotheses}
        question = wording.hypotheses(view, notable_terms(view)[:_TERMS_SHOWN], count)
        claims = self._asker.read(question, _claims) or []
        fresh = {normalised(claim): Proposal(claim, reason) for claim, reason in claims if normalised(claim) not in known}
        return list(fresh.values())[:count]

    def experiment(self, view: View, proposal: Proposal) -> Proposal:
        question = wording.experiment(view, proposal.claim, self._experiment_prompts)
        found = self._asker.read(question, lambda record: read_experiment(record, self._experiment_prompts))
        if found is None:
            return replace(proposal, note="the assistant designed no experiment that could be read")
        return replace(proposal, experiment=found)

    def analysis(self, view: View, tested: Sequence[Mapping[str, Any]]) -> str:
        told = self._asker.read(wording.analysis(view, tested), lambda record: text_of(record, "analysis"))
        return told or "The assistant's analysis of this cycle could not be read."


def read_prompts_of(record: Any) -> list[str]:
    """The prompts that were asked for: at least one."""
    prompts = texts_of(record, "prompts", _LIST)
    if not prompts:
        raise Unfit("prompts is empty")
    return prompts


def _claims(record: Any) -> list[tuple[str, str]]:
    found = record.get("hypotheses")
    if not isinstance(found, list) or not found:
        raise Unfit("hypotheses is no list with entries")
    return [read_claim(one) for one in found]


def _theme(record: Any) -> dict[str, str]:
    return {name: text_of(record, name) for name in ("theme", "difference")}


def _overall(record: Any) -> dict[str, list[str]]:
    return {name: texts_of(record, name, _LIST) for name in ("themes", "examples", "biases", "suggestions", "prompts")}
