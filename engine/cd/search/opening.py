"""From settings to everything that a search needs, each part found and named before any model is loaded.

Owns the search's key: settings, both models, the identities of assistant, embedder and judge, and hashes of the wording and of
the prompts given. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.assistants.assistant import Assistant, open_assistant
from engine.cd.pairs.opening import PairSource, pair_source
from engine.cd.prompts.asked import AskedPrompt, asked_prompt, read_prompts
from engine.cd.search.options import check_criterion, check_search
from engine.cd.search.records import search_folder
from engine.cd.search.settings import SearchSettings
from engine.cd.search.wording import Wording, read_wording
from engine.errors import InputError
from engine.settings import canonical_json
from engine.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from engine.embeddings import Embedder
    from engine.judges.judge import Judge


@dataclass(frozen=True)
class SearchPlan:
    """settings: resolved. assistant, wording: None offline. embedder: None where diversity has no weight. judge: None where the
    assistant judges, or nobody."""

    workspace: Workspace
    settings: SearchSettings
    source: PairSource
    prompts: tuple[AskedPrompt, ...]
    wording: Wording | None
    assistant: Assistant | None
    embedder: Embedder | None
    judge: Judge | None
    inputs: Mapping[str, str]
    key: str

    @property
    def folder(self) -> Path:
        return search_folder(self.workspace, self.key)


def plan_search(given: SearchSettings) -> SearchPlan:
    settings = given.resolved()
    check_search(settings)
    workspace = find_workspace()
    wording = _wording(settings)
    has_criterion = settings.criterion_rubric is not None or (wording is not None and wording.criterion is not None)
    check_criterion(settings, has_criterion)
    source = pair_source(settings)
    asking = settings.assistant_settings()
    assistant = open_assistant(asking) if asking else None
    embedder = _embedder(settings)
    judge = _judge(settings, workspace)
    prompts = _prompts(settings, source, wording)
    if not prompts and not settings.cycles:
        raise InputError("--cycles 0 only scores the prompts given, and there are none; give --prompts or more cycles.")
    told = {
        "assistant": assistant and assistant.identity,
        "embedder": embedder and embedder.identity,
        "judge": judge and judge.scorer,
        "wording": wording and _hash(wording.model_dump(mode="json")),
        "prompts": _hash([prompt.id for prompt in prompts]),
    }
    inputs = source.inputs() | {name: value for name, value in told.items() if value}
    return SearchPlan(workspace, settings, source, prompts, wording, assistant, embedder, judge, inputs, settings.key(**inputs))


def _wording(settings: SearchSettings) -> Wording | None:
    if settings.assistant is None:
        return None
    wording = read_wording(settings.wording or ("no-divergences" if settings.shown_divergences == "none" else "divergences"))
    if settings.criterion_rubric is not None:
        return wording.model_copy(update={"criterion": None})
    return wording if settings.criterion is None else wording.model_copy(update={"criterion": settings.criterion})


def _prompts(settings: SearchSettings, source: PairSource, wording: Wording | None) -> tuple[AskedPrompt, ...]:
    """Those given, else the wording's. Offline there may be none: the models then write the first ones."""
    if settings.prompt or settings.prompts:
        return read_prompts(settings, source.tokenizer() if settings.prompt_tokens else None)
    return tuple(asked_prompt(text) for text in wording.seeds) if wording else ()


def _embedder(settings: SearchSettings) -> Embedder | None:
    if not settings.diversity_weight:
        return None
    from engine.embeddings import open_embedder

    return open_embedder(settings)


def _judge(settings: SearchSettings, workspace: Workspace) -> Judge | None:
    if settings.criterion_rubric is None:
        return None
    from engine.judges.judge import open_judge, rubrics_folder
    from engine.judges.rubric import load_rubric

    rubric = load_rubric(settings.criterion_rubric, None, rubrics_folder(workspace))
    return open_judge(settings, rubric, workspace)


def _hash(content: object) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:16]
