"""The course of a run: cycle after cycle, each a row of stages, until a rule says stop.

Owns the order of the stages and what a run knows. Every stage goes through the journal, and what a run knows follows from the
stages' results alone: so a killed run comes back to the same place and ends in the same report. It knows no files, no server
and no model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from engine.cd.pipeline.experiments import Laboratory, TooFew
from engine.cd.pipeline.hypotheses import Experiment, Hypothesis, experiment_of, hypothesis_of, judged, record_of
from engine.cd.pipeline.journal import BudgetSpent, Journal
from engine.cd.pipeline.proposing import Proposal, Proposer
from engine.cd.pipeline.splits import in_fair_order, is_held_out
from engine.cd.pipeline.stopping import Rules, reason_to_stop
from engine.cd.pipeline.survey import clusters
from engine.cd.pipeline.texts import Source, divergence_of
from engine.cd.pipeline.topics import TopicAnalyser
from engine.cd.pipeline.view import SIDES, View
from engine.cd.prompts.asked import AskedPrompt, asked_prompt
from engine.progress import Progress
from engine.significance import Lond


@dataclass(frozen=True)
class Course:
    """What decides a run's course, beside who takes part in it."""

    topics: tuple[str, ...]
    hypotheses: int
    prompts_per_cycle: int
    new_prompts: int
    held_out: float
    smallest_effect: float
    rules: Rules


@dataclass
class Findings:
    """What a run knows. All of it is JSON, or made of it by `hypotheses`."""

    divergences: dict[str, float] = field(default_factory=lambda: {})
    sources: dict[str, str] = field(default_factory=lambda: {})
    relevance: dict[str, list[float] | None] = field(default_factory=lambda: {})
    first_seen: dict[str, int] = field(default_factory=lambda: {})
    hypotheses: list[Hypothesis] = field(default_factory=lambda: [])
    survey: dict[str, Any] | None = None
    knowledge: list[str] = field(default_factory=lambda: [])
    summaries: dict[str, str] = field(default_factory=lambda: {})
    cycles: int = 0
    stopped: str = ""


class Run:
    """`go` does what is left. pool: the prompts that were given; first: ids of those that are looked at first."""

    def __init__(
        self,
        course: Course,
        journal: Journal,
        source: Source,
        proposer: Proposer,
        laboratory: Laboratory,
        topics: TopicAnalyser,
        pool: Sequence[AskedPrompt],
        first: Collection[str] = (),
    ) -> None:
        self._course, self._journal, self._source = course, journal, source
        self._proposer, self._laboratory, self._topics = proposer, laboratory, topics
        ordered = sorted(in_fair_order(pool), key=lambda prompt: prompt.id not in first)
        self._prompts = {prompt.id: prompt for prompt in ordered}
        self._given = set(self._prompts)
        self._waiting: list[tuple[AskedPrompt, str]] = []
        self._explored: list[AskedPrompt] = []
        self._lond = Lond(course.rules.alpha)
        self.findings = Findings()

    def go(self) -> Findings:
        found, rules = self.findings, self._course.rules
        with Progress("pipeline: cycles", rules.cycles) as progress:
            try:
                while not found.stopped:
                    self._cycle(found.cycles + 1)
                    found.cycles += 1
                    progress.advance()
                    found.stopped = reason_to_stop(found.hypotheses, found.cycles, rules) or ""
                if self._course.topics:
                    found.summaries = self._journal.stage(f"{found.cycles}/summaries", self._summaries)
            except BudgetSpent as limit:
                found.stopped = f"the budget of {limit}"
        return found

    @property
    def prompts(self) -> Mapping[str, AskedPrompt]:
        """Every prompt that is known, by id."""
        return self._prompts

    def _cycle(self, cycle: int) -> None:
        found = self.findings
        names = self._add(self._journal.stage(f"{cycle}/prompts", lambda: self._new_prompts(cycle)))
        explored = self._journal.stage(f"{cycle}/explore", lambda: self._explore(names))
        found.divergences |= explored["divergences"]
        for name in explored["prompts"]:
            self._explored.append(self._prompts[name])
            found.first_seen[name] = cycle
        if self._course.topics:
            new = explored["prompts"]
            found.relevance |= self._journal.stage(f"{cycle}/topics", lambda: self._relevance(cycle, new))
        if cycle == 1:
            survey = self._journal.stage(f"{cycle}/survey", lambda: self._survey(cycle))
            found.survey = survey
            self._wait_for((survey["overall"] or {}).get("prompts", []), "survey")
        proposals = self._journal.stage(
            f"{cycle}/propose",
            lambda: [_told(one) for one in self._proposer.hypotheses(self._view(cycle), self._course.hypotheses)],
        )
        for number, proposed in enumerate(proposals, start=1):
            self._hypothesis(cycle, f"h{cycle}.{number}", _proposal(proposed))
        of_cycle = [_outcome(one) for one in found.hypotheses if one.cycle == cycle]
        found.knowledge.append(
            self._journal.stage(f"{cycle}/analyse", lambda: self._proposer.analysis(self._view(cycle), of_cycle))
        )

    # --- prompts and their texts ---

    def _new_prompts(self, cycle: int) -> list[dict[str, str]]:
        """Development prompts of this cycle, and where each is from: first those that earlier findings asked for."""
        room = self._course.prompts_per_cycle
        chosen = {prompt.id: (prompt, source) for prompt, source in self._waiting[:room]}
        known = {prompt.id for prompt in self._explored}
        if cycle == 1:  # there is nothing to go by yet: a fair draw of what was given
            chosen |= {prompt.id: (prompt, "given") for prompt in self._development()[:room]}
        elif len(chosen) < room:
            for text in self._proposer.prompts(self._view(cycle), min(self._course.new_prompts, room - len(chosen))):
                prompt = asked_prompt(text)
                source = "given" if prompt.id in self._given else f"cycle {cycle}"
                if prompt.id not in known:
                    chosen.setdefault(prompt.id, (prompt, source))
        return [{"text": prompt.text, "source": source} for prompt, source in chosen.values()]

    def _add(self, added: Sequence[Mapping[str, str]]) -> list[str]:
        """Make prompts known → the ids of those that this cycle looks at: held-out ones only wait to test."""
        prompts = {(prompt := asked_prompt(one["text"])).id: prompt for one in added}
        for one, name in zip(added, prompts, strict=True):
            self.findings.sources.setdefault(name, one["source"])
        self._prompts |= prompts
        self._waiting = [one for one in self._waiting if one[0].id not in prompts]
        return [name for name in prompts if self._is_new(name)]

    def _is_new(self, name: str) -> bool:
        explored = {prompt.id for prompt in self._explored}
        return name not in explored and not is_held_out(name, self._course.held_out)

    def _development(self) -> list[AskedPrompt]:
        """Prompts that are known and may suggest something, and have not been looked at."""
        return [prompt for prompt in self._prompts.values() if self._is_new(prompt.id)]

    def _explore(self, names: Sequence[str]) -> dict[str, Any]:
        prompts = [self._prompts[name] for name in names]
        texts = {side: self._source.of(side, prompts) for side in SIDES}["starting"]
        divergences = {prompt.id: divergence_of(texts[prompt.id]) for prompt in prompts}
        return {
            "prompts": [prompt.id for prompt in prompts],
            "divergences": {name: value for name, value in divergences.items() if value is not None},
        }

    def _wait_for(self, texts: Sequence[str], source: str) -> None:
        """Prompts that a later cycle is to look at; of those that are held out, only that they are known."""
        for text in texts:
            prompt = asked_prompt(text)
            self.findings.sources.setdefault(prompt.id, source)
            self._prompts.setdefault(prompt.id, prompt)
            if self._is_new(prompt.id) and all(prompt.id != other.id for other, _ in self._waiting):
                self._waiting.append((prompt, source))

    # --- what they say ---

    def _view(self, cycle: int) -> View:
        return View(
            cycle=cycle,
            topics=self._course.topics,
            pool=list(self._prompts.values()),
            explored=self._explored,
            unexplored=self._development(),
            texts={side: self._source.of(side, self._explored) for side in SIDES},
            divergences=self.findings.divergences,
            hypotheses=self.findings.hypotheses,
            knowledge=self.findings.knowledge,
        )

    def _survey(self, cycle: int) -> dict[str, Any]:
        view = self._view(cycle)
        found = clusters(view)
        said = self._proposer.survey(view, found)
        groups = [
            {
                "prompts": len(cluster.prompts),
                "terms": list(cluster.terms),
                "high": [prompt.text for prompt in cluster.high],
                "low": [prompt.text for prompt in cluster.low],
                "said": told,
            }
            for cluster, told in zip(found, said["clusters"], strict=True)
        ]
        return {"clusters": groups, "overall": said["overall"]}

    def _relevance(self, cycle: int, names: Sequence[str]) -> dict[str, list[float] | None]:
        return self._topics.relevance(self._view(cycle), [self._prompts[name] for name in names])

    def _summaries(self) -> dict[str, str]:
        return self._topics.summaries(self._view(self.findings.cycles), self.findings.relevance)

    # --- hypotheses ---

    def _hypothesis(self, cycle: int, name: str, proposal: Proposal) -> None:
        """Design, look at development prompts, test on the held-out ones, decide."""
        design = self._journal.stage(
            f"{cycle}/design/{name}", lambda: _told(self._proposer.experiment(self._view(cycle), proposal))
        )
        proposal = _proposal(design)
        hypothesis = Hypothesis(
            name, cycle, proposal.claim, proposal.reason, experiment=proposal.experiment, note=proposal.note
        )
        experiment = proposal.experiment
        if experiment is not None:
            for texts in (experiment.prompts, experiment.controls):
                self._wait_for(texts, name)
            tested = self._journal.stage(f"{cycle}/test/{name}", lambda: record_of(self._tested(hypothesis, experiment)))
            hypothesis = hypothesis_of(tested)
            if hypothesis.p is not None:
                self._lond.test(hypothesis.p)
        else:
            hypothesis = judged(hypothesis, False, self._course.smallest_effect)
        self.findings.hypotheses.append(hypothesis)

    def _tested(self, hypothesis: Hypothesis, experiment: Experiment) -> Hypothesis:
        own, controls = ([asked_prompt(text) for text in texts] for texts in (experiment.prompts, experiment.controls))
        evidence = []
        try:
            evidence.append(self._laboratory.look(hypothesis.id, experiment, own, controls))
        except TooFew:  # its prompts may all be held out; then the test is all there is
            evidence.clear()
        try:
            level = self._lond.threshold()
            test = replace(self._laboratory.test(hypothesis.id, experiment, own, controls), level=level)
        except TooFew as few:
            return replace(hypothesis, evidence=tuple(evidence), status="inconclusive", note=f"not tested: {few}")
        found = replace(hypothesis, evidence=(*evidence, test))
        return judged(found, test.p is not None and test.p <= level, self._course.smallest_effect)


def _told(proposal: Proposal) -> dict[str, Any]:
    return asdict(proposal)


def _proposal(record: Mapping[str, Any]) -> Proposal:
    experiment = record["experiment"]
    return Proposal(**{**record, "experiment": experiment and experiment_of(experiment)})


def _outcome(one: Hypothesis) -> dict[str, Any]:
    """A hypothesis as an analysis is told of it: nothing of held-out texts but what the test came to."""
    test = one.held_out
    numbers = {"p": test.p, "effect": round(test.effect, 3), "effect_name": test.effect_name} if test else {}
    return {"text": one.text, "status": one.status, **numbers, **({"note": one.note} if one.note else {})}
