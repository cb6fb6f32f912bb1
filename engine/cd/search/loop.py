"""The search: score the prompts given, then cycle: propose, screen, score, judge, keep, choose (§4.3).

Owns the order of things, when a cycle counts, and that each attempt is on disk whole before the next begins. A search that was
killed replays its attempts; what the killed one had begun is done again, and comes out the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.cd.prompts.asked import AskedPrompt
from engine.cd.search.bank import Bank
from engine.cd.search.criterion import Criterion
from engine.cd.search.lines import told
from engine.cd.search.proposing import Proposal, Proposer
from engine.cd.search.records import Attempt, Entry, append_attempt
from engine.cd.search.scoring import Scorer
from engine.cd.search.screening import Screening
from engine.cd.search.settings import SearchSettings
from engine.errors import EngineError
from engine.progress import Progress, notice
from engine.store import Segment

if TYPE_CHECKING:
    from engine.embeddings import EmbeddingCache


@dataclass(frozen=True)
class Parts:
    """Who does what. criterion: None where there is none; embedder: None where diversity has no weight."""

    proposer: Proposer
    screening: Screening
    scorer: Scorer
    criterion: Criterion | None
    embedder: EmbeddingCache | None


class Search:
    def __init__(self, settings: SearchSettings, prompts: Sequence[AskedPrompt], parts: Parts, segment: Segment) -> None:
        """settings: resolved."""
        assert settings.cycles is not None
        assert settings.repeats is not None
        assert settings.proposals is not None
        self._settings, self._prompts, self._parts, self._segment = settings, prompts, parts, segment
        self._cycles, self._repeats, self._proposals = settings.cycles, settings.repeats, settings.proposals
        self._found: set[str] = set()

    def run(self, attempts: dict[tuple[int, int], Attempt]) -> None:
        """Go on from these attempts until every repeat has its cycles; new ones are added to them, and to the segment."""
        with Progress("search: cycles", self._cycles * self._repeats) as progress:
            for repeat in range(self._repeats):
                done = [attempt for (of, _), attempt in attempts.items() if of == repeat]
                for attempt in self._repeat(repeat, done):
                    attempts[attempt.repeat, attempt.number] = attempt
                    progress.advance(int(attempt.failure is None and attempt.number > 0))

    def _repeat(self, repeat: int, done: Sequence[Attempt]) -> Iterator[Attempt]:
        """Every attempt of a repeat in turn, those that are done first."""
        bank, earlier = Bank(self._settings, repeat), frozenset(self._found)
        cycle = failures = 0
        last: Attempt | None = None
        while last is None or cycle < self._cycles:
            if last is not None and failures == self._settings.max_failed_cycles:
                raise EngineError(
                    f"Repeat {repeat + 1} found nothing in {failures} cycles in a row, at last because {last.failure}; what "
                    "there is was kept. Raise --max-failed-cycles, or change what is asked for."
                )
            number = 0 if last is None else last.number + 1
            if number < len(done):
                last = done[number]
                self._add(bank, last.entries)
            else:
                last = self._attempt(bank, repeat, number, cycle + 1, last.next_shown if last else (), earlier)
                append_attempt(self._segment, last)
                notice(told(last))
            yield last
            if number > 0:
                cycle, failures = (cycle, failures + 1) if last.failure else (last.cycle, 0)

    def _attempt(
        self, bank: Bank, repeat: int, number: int, cycle: int, shown: Sequence[str], earlier: frozenset[str]
    ) -> Attempt:
        """One attempt; number 0 scores the prompts given."""
        by_id = {entry.prompt_id: entry for entry in bank.entries}
        proposal, dropped = Proposal(()), Counter[str]()
        prompts = list(self._prompts)
        if number > 0:
            proposal = self._parts.proposer.propose([by_id[name] for name in shown], repeat, number)
            known = earlier | by_id.keys() if self._settings.require_unique else earlier
            prompts, dropped = self._parts.screening.pass_on(proposal.prompts, known, self._proposals)
        entries, without = self._entries(prompts, repeat, cycle if number > 0 else 0)
        dropped += without
        self._add(bank, entries)
        chosen = bank.chosen(number)
        return Attempt(
            repeat,
            number,
            cycle if number > 0 else 0,
            tuple(shown),
            len(proposal.prompts),
            dict(dropped),
            _failure(proposal, entries, dropped) if number > 0 else None,
            tuple(entries),
            tuple(entry.prompt_id for entry in chosen),
            bank.statistics(chosen),
            proposal.hypotheses,
        )

    def _entries(self, prompts: Sequence[AskedPrompt], repeat: int, cycle: int) -> tuple[list[Entry], Counter[str]]:
        """Prompts with their divergences, responses and verdicts, in their order; and why some are left out. Prompts given meet
        the criterion by being given."""
        scored = self._parts.scorer.scored(prompts) if prompts else {}
        measured = [prompt for prompt in prompts if prompt.id in scored]
        dropped = Counter({"no text": len(prompts) - len(measured)})
        verdicts: Sequence[float | None] = [None] * len(measured)
        if self._parts.criterion is not None:
            verdicts = [1.0] * len(measured)
            if cycle > 0:
                verdicts = self._parts.criterion.scores([(one.text, scored[one.id].response) for one in measured])
        entries = [
            Entry(prompt.id, prompt.text, scored[prompt.id].divergence, scored[prompt.id].response, verdict, cycle, repeat)
            for prompt, verdict in zip(measured, verdicts, strict=True)
        ]
        if self._settings.require_criterion:
            met = [entry for entry in entries if entry.criterion]
            dropped["criterion not met"] = len(entries) - len(met)
            entries = met
        return entries, +dropped

    def _add(self, bank: Bank, entries: Sequence[Entry]) -> None:
        embedder = self._parts.embedder
        vectors = embedder.embed([entry.prompt for entry in entries]) if embedder is not None and entries else None
        bank.add(entries, vectors)
        self._found.update(entry.prompt_id for entry in entries)


def _failure(proposal: Proposal, entries: Sequence[Entry], dropped: Counter[str]) -> str | None:
    if entries:
        return None
    if proposal.failure:
        return proposal.failure
    return f"all proposals were dropped ({', '.join(f'{count} {reason}' for reason, count in dropped.most_common())})"
