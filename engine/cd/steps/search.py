"""`tiller cd search`: look for prompts on which the two models differ."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from engine.assistants.assistant import RemoteAssistant
from engine.assistants.raw_replies import RawReplies
from engine.cd.alone import alone
from engine.cd.search.criterion import AskedCriterion, Criterion, JudgedCriterion
from engine.cd.search.opening import SearchPlan, plan_search
from engine.cd.search.records import Attempt, bank_of, read_attempts
from engine.cd.search.results import save_results
from engine.cd.search.settings import SearchSettings
from engine.printable import printable
from engine.progress import notice
from engine.store import Segment, note_artifact, record_cell, writer_name


def run(settings: SearchSettings) -> str:
    plan = plan_search(settings)
    attempts = read_attempts(plan.folder)
    if _complete(plan.settings, attempts) and (plan.folder / "bank.tsv").exists():
        return _summary(plan, attempts, "already there, ")
    record_cell(plan.workspace, plan.key, plan.settings, plan.inputs, plan.source.facts())
    with alone(plan.folder, f"search {plan.key}"):
        attempts = read_attempts(plan.folder)
        _go_on(plan, attempts)
    return _summary(plan, attempts, "")


def _go_on(plan: SearchPlan, attempts: dict[tuple[int, int], Attempt]) -> None:
    """Add what is missing to the attempts; whatever ends it, what there is is saved."""
    if attempts:
        notice(f"search {plan.key}: goes on from {len(attempts)} attempts")
    log, replies = Segment(plan.folder / "log", writer_name()), Segment(plan.folder / "replies", writer_name())
    try:
        with log, replies:
            _search(plan, attempts, log, replies)
    finally:
        if attempts:
            save_results(plan.workspace, plan.folder, plan.key, attempts)
        for segment in (log, replies):
            if segment.path is not None:
                note_artifact(plan.workspace, segment.path, "searches", plan.key)


def _search(plan: SearchPlan, attempts: dict[tuple[int, int], Attempt], log: Segment, replies: Segment) -> None:
    from engine.cd.pairs.opening import open_pair
    from engine.cd.search.asking import AssistantProposer
    from engine.cd.search.loop import Parts, Search
    from engine.cd.search.offline import OfflineProposer
    from engine.cd.search.scoring import Scorer
    from engine.cd.search.screening import Screening
    from engine.cd.texts.decoder import Decoder
    from engine.embeddings import EmbeddingCache

    settings = plan.settings
    opened = cache(lambda: open_pair(plan.source, settings))
    measured = settings.text_settings().model_copy(update={"measure_prompt": settings.region != "generated"})
    scorer = Scorer(Decoder(plan.workspace, measured, plan.source, opened, "search"), settings)
    criterion: Criterion | None = JudgedCriterion(plan.judge) if plan.judge else None
    if plan.assistant is not None and plan.wording is not None:
        ask = RawReplies(plan.folder / "replies", plan.assistant, replies).ask
        proposer = AssistantProposer(settings, plan.wording, ask)
        if plan.wording.criterion is not None:
            criterion = AskedCriterion(plan.wording, ask)
    else:
        proposer = OfflineProposer(settings, opened)
    embedder = EmbeddingCache(plan.workspace, plan.embedder) if plan.embedder else None
    parts = Parts(proposer, Screening(settings, opened), scorer, criterion, embedder)
    Search(settings, plan.prompts, parts, log).run(attempts)


def _complete(settings: SearchSettings, attempts: Mapping[tuple[int, int], Attempt]) -> bool:
    last: dict[int, int] = {}
    for attempt in attempts.values():
        last[attempt.repeat] = max(last.get(attempt.repeat, 0), attempt.cycle if not attempt.failure else 0)
    return all(last.get(repeat) == settings.cycles for repeat in range(settings.repeats or 0))


def _summary(plan: SearchPlan, attempts: Mapping[tuple[int, int], Attempt], already: str) -> str:
    entries = bank_of(attempts)
    cycles = sum(attempt.number > 0 and attempt.failure is None for attempt in attempts.values())
    failed = sum(attempt.failure is not None for attempt in attempts.values())
    told = f"{cycles} cycle{'s' * (cycles != 1)}" + (f", {failed} failed" if failed else "")
    best = (
        f"; highest {plan.settings.measure} {entries[0].divergence:.3f}: {printable(entries[0].prompt[:60])}" if entries else ""
    )
    where = plan.workspace.relative(plan.folder / "bank.tsv")
    spent = ""
    if isinstance(plan.assistant, RemoteAssistant) and plan.assistant.usage.cost:
        spent = f"; {plan.assistant.usage.cost:.4f} spent"
    return f"search {plan.key}: {already}{len(entries)} prompts in {told}{best} → {where}{spent}"
