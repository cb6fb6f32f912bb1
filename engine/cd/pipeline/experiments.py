"""Carrying out an experiment: texts of both models on its prompts, a number for every text, a comparison, a p-value.

Owns which prompts an experiment is carried out on, and turning texts into numbers. What is claimed is `hypotheses`' business,
how it is compared `effects`'. A hypothesis is formed on development prompts and tested on held-out ones, never on both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.cd.pipeline import effects
from engine.cd.pipeline.hypotheses import Evidence, Experiment, Kind
from engine.cd.pipeline.splits import in_fair_order, is_held_out
from engine.cd.pipeline.terms import containing
from engine.cd.pipeline.texts import Source, divergence_of
from engine.cd.pipeline.view import Observation, Texts
from engine.cd.prompts.asked import AskedPrompt
from engine.cd.words import words

FEWEST = 4
"""Prompts below which nothing is tested."""

Values = list[NDArray[np.float64]]


class Judge(Protocol):
    def answers(self, criterion: str, texts: Sequence[Observation]) -> list[float | None]:
        """1 for yes, 0 for no, None where there was no answer."""
        ...


class TooFew(Exception):
    """An experiment has not enough prompts; its text says how many there are."""


class Laboratory:
    """What experiments are carried out with. pool: all prompts that were given. most: of a test, and of its controls."""

    def __init__(
        self,
        source: Source,
        judge: Judge,
        pool: Sequence[AskedPrompt],
        *,
        held_out: float,
        most: int,
        permutations: int,
        seed: int,
    ) -> None:
        self._source, self._judge, self._pool = source, judge, pool
        self._held_out, self._most, self._permutations, self._seed = held_out, most, permutations, seed

    def test(self, name: str, experiment: Experiment, own: Sequence[AskedPrompt], controls: Sequence[AskedPrompt]) -> Evidence:
        """On held-out prompts, with a p-value. name: of the hypothesis, by which chance is seeded."""
        return self._carried_out("held-out", name, experiment, own, controls)

    def look(self, name: str, experiment: Experiment, own: Sequence[AskedPrompt], controls: Sequence[AskedPrompt]) -> Evidence:
        """On development prompts, without one: these may have suggested the claim."""
        return self._carried_out("development", name, experiment, own, controls)

    def _carried_out(
        self, kind: Kind, name: str, experiment: Experiment, own: Sequence[AskedPrompt], controls: Sequence[AskedPrompt]
    ) -> Evidence:
        seed = int.from_bytes(hashlib.sha256(f"{self._seed} {name}".encode()).digest()[:6], "big")
        prompts = self._side(own or self._pool, kind)
        if experiment.measure == "divergence":
            named = {prompt.id for prompt in own}
            rest = controls or [prompt for prompt in self._pool if prompt.id not in named]
            return self._groups(kind, experiment, prompts, self._side(rest, kind), seed)
        return self._paired(kind, experiment, prompts, seed)

    def _side(self, prompts: Sequence[AskedPrompt], kind: Kind) -> list[AskedPrompt]:
        """The prompts of that half: a fair draw where there are too many."""
        half = [prompt for prompt in prompts if is_held_out(prompt.id, self._held_out) == (kind == "held-out")]
        return in_fair_order(half)[: self._most]

    def _groups(
        self, kind: Kind, experiment: Experiment, prompts: Sequence[AskedPrompt], controls: Sequence[AskedPrompt], seed: int
    ) -> Evidence:
        """Divergence of prompts against that of controls, on texts of the starting model."""
        _enough(kind, prompts, "prompts")
        _enough(kind, controls, "controls")
        texts = self._source.of("starting", [*prompts, *controls])
        own, others = (_divergences(texts, group) for group in (prompts, controls))
        if len(own) < FEWEST or len(others) < FEWEST:
            raise TooFew(f"{len(own)} prompts and {len(others)} controls have a divergence; {FEWEST} of each are needed")
        first, second = (own, others) if experiment.expected == "higher" else (others, own)
        found = effects.groups(first, second, seed)
        means = (found.first, found.second) if experiment.expected == "higher" else (found.second, found.first)
        evidence = Evidence(
            kind, *means, "rank-biserial", found.effect, found.low, found.high,
            prompts=len(own), controls=len(others), texts=sum(map(len, texts.values())),
        )  # fmt: skip
        if kind == "development":
            return evidence
        return replace(evidence, p=effects.groups_p(first, second, self._permutations, seed))

    def _paired(self, kind: Kind, experiment: Experiment, prompts: Sequence[AskedPrompt], seed: int) -> Evidence:
        """Texts of both models on the same prompts."""
        _enough(kind, prompts, "prompts")
        texts = [self._source.of(side, prompts) for side in ("starting", "comparison")]
        valued = self._values(experiment, texts, prompts)
        both = [place for place in range(len(prompts)) if all(len(values[place]) for values in valued)]
        if len(both) < FEWEST:
            raise TooFew(f"only {len(both)} prompts have texts of both models that could be measured; {FEWEST} are needed")
        starting, comparison = ([values[place] for place in both] for values in valued)
        first, second = (starting, comparison) if experiment.expected == "starting" else (comparison, starting)
        amounts = experiment.measure == "words"
        found = (effects.amounts if amounts else effects.shares)(first, second, seed)
        means = (found.first, found.second) if experiment.expected == "starting" else (found.second, found.first)
        total = sum(len(ones) for one in texts for ones in one.values())
        evidence = Evidence(
            kind, *means, "rank-biserial" if amounts else "Cohen's h", found.effect, found.low, found.high,
            prompts=len(both), controls=0, texts=total,
            unread=total - sum(len(one) for values in valued for one in values),
        )  # fmt: skip
        if kind == "development":
            return evidence
        return replace(evidence, p=effects.paired_p(first, second, self._permutations, seed))

    def _values(self, experiment: Experiment, sides: Sequence[Texts], prompts: Sequence[AskedPrompt]) -> list[Values]:
        """For every side and prompt the numbers of its texts; texts without one are left out. A judge is asked about both sides
        at once: what both wrote is one question."""
        flat = [one for texts in sides for prompt in prompts for one in texts[prompt.id]]
        numbers: list[float | None]
        if experiment.measure == "criterion":
            numbers = self._judge.answers(experiment.criterion or "", flat)
        elif experiment.measure == "words":
            numbers = [float(len(words(one.text))) for one in flat]
        else:
            pattern = containing(experiment.phrases)
            numbers = [float(pattern.search(one.text) is not None) for one in flat]
        in_turn = iter(numbers)
        return [
            [np.array([number for _ in texts[prompt.id] if (number := next(in_turn)) is not None]) for prompt in prompts]
            for texts in sides
        ]


def _divergences(texts: Texts, prompts: Sequence[AskedPrompt]) -> NDArray[np.float64]:
    known = (divergence_of(texts[prompt.id]) for prompt in prompts)
    return np.array([one for one in known if one is not None])


def _enough(kind: Kind, prompts: Sequence[AskedPrompt], what: str) -> None:
    if len(prompts) < FEWEST:
        raise TooFew(f"only {len(prompts)} {kind} {what}; {FEWEST} are needed")
