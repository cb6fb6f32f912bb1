"""Findings: labels written on one part of the texts, chosen on another, tested on the third; and shares of regions.

Owns the order of that and the correction over all tests of an analysis (Benjamini-Hochberg). Who writes and judges is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.comparisons import Comparison, too_few
from engine.cd.analysis.labels import Label, Labeller, Shown
from engine.cd.analysis.scorers import Scorer
from engine.cd.analysis.settings import AnalyseSettings
from engine.cd.analysis.texts import Part, Texts
from engine.cd.analysis.validation import CHANCE, Cases, Validation, discrimination, validate
from engine.significance import benjamini_hochberg

Kind = Literal["label", "share"]
_ROUNDS = 3  # random pairs that a text is in
Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Finding:
    """One test and what it is about. adjusted: its p-value corrected for all tests of the analysis. chosen_by: the metric on
    the texts that labels were chosen on. unanswered: texts or pairs that the judge said nothing of. loss_shift: how much more
    the mean token loss under S exceeds that under C in the group that the statement is about than in the other, nats."""

    kind: Kind
    comparison: str
    region: int | None
    statement: str
    terms: tuple[str, ...]
    validation: Validation
    adjusted: float = 1.0
    chosen_by: float | None = None
    unanswered: int = 0
    loss_shift: float = 0.0

    def validated(self, alpha: float) -> bool:
        return self.adjusted < alpha


@dataclass(frozen=True, slots=True)
class Skipped:
    """A comparison that was not made, and why."""

    comparison: str
    region: int | None
    reason: str


@dataclass(frozen=True)
class Trial:
    """The texts of an analysis, who writes labels of them and who judges."""

    texts: Texts
    labeller: Labeller
    scorer: Scorer
    settings: AnalyseSettings

    def labels(self, comparison: Comparison) -> list[Finding] | Skipped:
        """The best labels of a comparison, tested; or why there are none."""
        settings = self.settings
        reason = too_few(comparison, self.texts, settings.smallest_group)
        if reason is not None:
            return Skipped(comparison.name, comparison.region, reason)
        written = self.labeller.write(_shown(self.texts, comparison), settings.labels)
        if not written:
            return Skipped(comparison.name, comparison.region, "no label came of the texts to write from")
        ranked = sorted(((self._chosen_by(comparison, label), label) for label in written), key=lambda one: -one[0])
        held = [(metric, label) for metric, label in ranked if metric >= CHANCE][: settings.keep]
        if not held:
            return Skipped(comparison.name, comparison.region, "on the texts kept for choosing no label held")
        found = [finding for metric, label in held if (finding := self._tested(comparison, label, metric)) is not None]
        return found or Skipped(comparison.name, comparison.region, "the judge gave no answers")

    def share(self, region: int, name: str, regions: Positions) -> Finding | Skipped:
        """Is the share of texts in a region another in the first set than in the second? Two-sided. regions: [texts]."""
        texts, title = self.texts, f"share of {name}"
        inside, first = (regions[texts.test] == region).astype(float), texts.first[texts.test]
        if min(first.sum(), (~first).sum()) < self.settings.smallest_group:
            return Skipped(title, region, f"fewer than {self.settings.smallest_group} texts of a set to test on")
        result = self._validated(Cases(inside, np.arange(len(inside))), first, title, share=True)
        more = texts.names[0]
        if result.score < CHANCE:  # told in the direction that was found, which the two-sided p-value allows
            more, ends = texts.names[1], (1 - result.high, 1 - result.low)
            result = replace(result, score=1 - result.score, low=ends[0], high=ends[1])
        return Finding("share", title, region, f"More texts of {more} are in {name}", (), result)

    @property
    def _most_judged(self) -> int:
        """Nobody is asked whether a term occurs, and a rare one needs every text there is."""
        return self.settings.most_judged if self.scorer.asks else len(self.texts)

    def _chosen_by(self, comparison: Comparison, label: Label) -> float:
        """The metric on the texts for choosing; chance where they hold one group only."""
        positions = judged(self.texts, comparison, "select", self._most_judged)
        cases, _ = self._cases(positions, positions, label)
        value = float(discrimination(cases.scores, *cases.sides(comparison.positive[positions]), self.settings.metric))
        return CHANCE if np.isnan(value) else value

    def _tested(self, comparison: Comparison, label: Label, chosen_by: float) -> Finding | None:
        """None where the judge answered about one group only."""
        positions = judged(self.texts, comparison, "test", self._most_judged)
        cases, unanswered = self._cases(positions, self.texts.test, label)
        positive = comparison.positive[self.texts.test]
        if not all(side.any() for side in cases.sides(positive)):
            return None
        result = self._validated(cases, positive, f"{comparison.name}:{label.text}")
        about = (comparison.name, comparison.region, label.text, label.terms)
        shift = _loss_shift(self.texts, comparison)
        return Finding("label", *about, result, chosen_by=chosen_by, unanswered=unanswered, loss_shift=shift)

    def _validated(self, cases: Cases, positive: NDArray[np.bool_], name: str, share: bool = False) -> Validation:
        texts, settings = self.texts, self.settings
        seed = int(hashlib.sha256(f"{settings.seed}:{name}".encode()).hexdigest()[:8], 16)
        metric, alternative = ("auc", "two-sided") if share else (settings.metric, "greater")
        prompts = texts.prompts[texts.test]
        return validate(cases, positive, prompts, texts.exchange, metric, settings.permutations, seed, alternative)

    def _cases(self, positions: Positions, frame: Positions, label: Label) -> tuple[Cases, int]:
        """Scores of the texts at these positions, numbered by their place in `frame`; and how many got none."""
        texts = [self.texts.all[at].text for at in positions]
        places = np.searchsorted(frame, positions)
        if self.settings.mode == "unitary":
            answers, first, second = self.scorer.score(label, texts), places, None
        else:
            pairs = pairs_of(self.texts, positions, self.settings.seed)
            answers = self.scorer.compare(label, [(texts[one], texts[other]) for one, other in pairs])
            first, second = (np.array([places[pair[side]] for pair in pairs], dtype=np.intp) for side in (0, 1))
        kept = np.array([answer is not None for answer in answers], dtype=bool)
        scores = np.array([answer for answer in answers if answer is not None], dtype=float)
        return Cases(scores, first[kept], None if second is None else second[kept]), int((~kept).sum())


def corrected(findings: Iterable[Finding]) -> list[Finding]:
    """All findings with the p-values that hold for all of them together."""
    listed = list(findings)
    adjusted = benjamini_hochberg([finding.validation.p for finding in listed])
    return [replace(finding, adjusted=value) for finding, value in zip(listed, adjusted, strict=True)]


def judged(texts: Texts, comparison: Comparison, part: Part, most: int) -> Positions:
    """The texts of a part that are compared, at most so many, in an order that their prompts' ids decide. The samples of one
    number are taken or left together, of whichever set they are: what is judged may not depend on what is permuted."""
    groups: dict[tuple[bytes, int], list[int]] = {}
    for at in np.flatnonzero(comparison.among & texts.part(part)).tolist():
        text = texts.all[at]
        groups.setdefault((hashlib.sha256(text.prompt_id.encode()).digest(), text.sample), []).append(at)
    taken: list[int] = []
    for _, group in sorted(groups.items()):
        if len(taken) + len(group) > most:
            break
        taken += group
    return np.array(sorted(taken), dtype=np.intp)


def pairs_of(texts: Texts, positions: Sequence[int] | Positions, seed: int) -> list[tuple[int, int]]:
    """Pairs of places in `positions` to compare head to head, chosen so that no rearrangement would have chosen others: where
    whole prompts change sides, the texts of a prompt in turn, one of either set; else at random, of two sets among the texts
    of a prompt."""
    generator = np.random.default_rng([seed, 2])
    sides: dict[str, tuple[list[int], list[int]]] = {}
    for place, at in enumerate(positions):
        text = texts.all[at]
        sides.setdefault(text.prompt_id if texts.paired else "", ([], []))[text.of].append(place)
    pairs: list[tuple[int, int]] = []
    for one, other in sides.values():
        matched = min(len(one), len(other)) if texts.swaps else 0
        pairs += list(zip(one[:matched], other[:matched], strict=True))
        left = one[matched:] + other[matched:]
        for _ in range(_ROUNDS):
            order = generator.permutation(left).astype(int).tolist()
            pairs += list(zip(order[::2], order[1::2], strict=False))
    turned = generator.random(len(pairs)) < CHANCE
    return [(other, one) if turn else (one, other) for (one, other), turn in zip(pairs, turned, strict=True)]


def _loss_shift(texts: Texts, comparison: Comparison) -> float:
    """0 where a group has no measured text."""
    losses = np.array([-text.log_ratio for text in texts.all])  # ln S - ln C of a token is minus the difference of its losses
    known = comparison.among & np.isfinite(losses)
    groups = [losses[known & comparison.positive], losses[known & ~comparison.positive]]
    return float(groups[0].mean() - groups[1].mean()) if all(map(len, groups)) else 0.0


def _shown(texts: Texts, comparison: Comparison) -> Shown:
    positive, negative = (comparison.positions(texts, "label", side) for side in (True, False))
    return Shown(
        comparison.name,
        [texts.all[at].text for at in positive],
        [texts.all[at].text for at in negative],
        [texts.all[at].prompt_id for at in positive],
    )
