"""Who thinks of hypotheses and experiments: the protocol that the loop knows, and the one that goes by counting alone.

Without an assistant, hypotheses are read off the development texts: terms that one side's texts have more often, words of
prompts that go with divergence, lengths. Nothing is known here of any particular model or topic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol

from engine.cd.pipeline.hypotheses import Experiment
from engine.cd.pipeline.survey import Cluster, mean_divergence
from engine.cd.pipeline.terms import PromptWord, Term, containing, distinguishing, dividing_words, has_word
from engine.cd.pipeline.view import View
from engine.cd.words import words

_CANDIDATES = 40
_SAME = 0.8  # share of a term's texts that hold a tested phrase, from which on the term is a part of that finding
_NOTABLE = 2.0  # |z| from which on a difference on development texts is worth a test


@dataclass(frozen=True)
class Proposal:
    """experiment: None where the proposer has yet to design it; `note` says why it could not."""

    claim: str
    reason: str
    experiment: Experiment | None = None
    note: str = ""


class Proposer(Protocol):
    def prompts(self, view: View, count: int) -> list[str]:
        """New prompts to look at, in this cycle."""
        ...

    def survey(self, view: View, found: Sequence[Cluster]) -> dict[str, Any]:
        """{"clusters": [{"theme", "difference"}], "overall": {"themes", "examples", "biases", "suggestions", "prompts"}}."""
        ...

    def hypotheses(self, view: View, count: int) -> list[Proposal]: ...

    def experiment(self, view: View, proposal: Proposal) -> Proposal:
        """The proposal with its experiment, or with a note why there is none."""
        ...

    def analysis(self, view: View, tested: Sequence[Mapping[str, Any]]) -> str:
        """What a cycle found, for the knowledge base."""
        ...


class DataProposer:
    """No model is asked: what is counted on development texts suggests, held-out texts decide."""

    def prompts(self, view: View, count: int) -> list[str]:
        """Of the pool, those with the words that went with divergence first: what was found decides where to look next."""
        rest = list(view.unexplored)
        dividing = [word.word for word in _dividing(view) if word.z > 0]
        near = [prompt for prompt in rest if any(has_word(prompt.text, word) for word in dividing)]
        chosen = near[: count // 2]
        taken = {prompt.id for prompt in chosen}
        chosen += [prompt for prompt in rest if prompt.id not in taken][: count - len(chosen)]
        return [prompt.text for prompt in chosen]

    def survey(self, view: View, found: Sequence[Cluster]) -> dict[str, Any]:
        told = []
        for cluster in found:
            high, low = (view.said("starting", prompts) for prompts in (cluster.high, cluster.low))
            terms = [term.text for term in distinguishing(high, low, 3) if term.z > _NOTABLE]
            means = [mean_divergence(prompts, view.divergences) for prompts in (cluster.high, cluster.low)]
            more = f"; texts of high divergence have more of: {', '.join(terms)}" if terms else ""
            difference = f"mean divergence {means[0]:.3f} in the upper half, {means[1]:.3f} in the lower{more}"
            told.append({"theme": ", ".join(cluster.terms), "difference": difference})
        top = view.by_divergence()[:10]
        dividing = [word.word for word in _dividing(view) if word.z > 0][:5]
        overall = {
            "themes": dividing,
            "examples": [prompt.text for prompt in top],
            "biases": [term.text for term in notable_terms(view) if term.z > 0][:5],
            "suggestions": [f"ask more prompts with the word '{word}'" for word in dividing],
            "prompts": [],
        }
        return {"clusters": told, "overall": overall}

    def hypotheses(self, view: View, count: int) -> list[Proposal]:
        """The kinds of difference in turn, each kind's clearest first; what was tested before is not proposed again."""
        taken = {one.experiment.subject() for one in view.hypotheses if one.experiment}
        kinds = (self._contains(view), self._divergence(view), self._words(view))
        proposals: list[Proposal] = []
        for turn in zip_longest(*kinds):
            for proposal in turn:
                if proposal is None or len(proposals) == count:
                    continue
                subject = proposal.experiment.subject()
                if subject not in taken:
                    taken.add(subject)
                    proposals.append(proposal)
        return proposals

    def experiment(self, view: View, proposal: Proposal) -> Proposal:  # noqa: ARG002
        return proposal  # what was counted says how it can be counted again

    def analysis(self, view: View, tested: Sequence[Mapping[str, Any]]) -> str:
        told = [f"{one['status']}: {one['text']}" for one in tested]
        words_found = ", ".join(word.word for word in _dividing(view)[:3])
        dividing = f"Words of prompts that go with divergence: {words_found}." if words_found else ""
        return " ".join([*told, dividing]).strip() or "Nothing on the development prompts was worth a test."

    def _contains(self, view: View) -> Iterator[Any]:
        for term in notable_terms(view):
            more, less, expected = _sides(term.z > 0)
            claim = f"Texts of the {more} model contain '{term.text}' more often than those of the {less} model."
            shares = f"{term.first:.0%} towards the starting model, {term.second:.0%} of the comparison model"
            reason = f"development texts: {shares}, z = {term.z:.1f}"
            yield Proposal(claim, reason, Experiment("contains", expected, phrases=(term.text,)))

    def _divergence(self, view: View) -> Iterator[Any]:
        for word in _dividing(view):
            expected = "higher" if word.z > 0 else "lower"
            more = "more" if word.z > 0 else "less"
            claim = f"The models differ {more} on prompts with the word '{word.word}' than on others."
            reason = f"development prompts: mean divergence {word.high:.3f} with it, {word.low:.3f} without, z = {word.z:.1f}"
            having = tuple(prompt.text for prompt in view.pool if has_word(prompt.text, word.word))
            yield Proposal(claim, reason, Experiment("divergence", expected, prompts=having))

    def _words(self, view: View) -> Iterator[Any]:
        from scipy.stats import mannwhitneyu

        first, second = ([len(words(text)) for _, text in view.side(side)] for side in ("starting", "comparison"))
        if not first or not second:
            return
        found = mannwhitneyu(first, second, method="asymptotic")
        if found.pvalue >= 0.05:
            return
        means = sum(first) / len(first), sum(second) / len(second)
        more, less, expected = _sides(found.statistic > len(first) * len(second) / 2)
        reason = f"development texts: {means[0]:.1f} words of the starting model, {means[1]:.1f} of the comparison model"
        yield Proposal(
            f"Texts of the {more} model are longer than those of the {less} model.", reason, Experiment("words", expected)
        )


def notable_terms(view: View) -> list[Term]:
    """Towards S: its texts and those of the contrast, in which what sets it apart from C is frequent. Terms that hardly ever
    come without a phrase that was tested before are left out."""
    first, second = view.side("starting") + view.side("contrast"), view.side("comparison")
    known = [containing(one.experiment.phrases) for one in view.hypotheses if one.experiment and one.experiment.phrases]
    texts = [text for _, text in first + second]
    return [
        term
        for term in distinguishing(first, second, _CANDIDATES)
        if abs(term.z) >= _NOTABLE and not any(_is_part_of(term.text, pattern, texts) for pattern in known)
    ]


def _is_part_of(term: str, phrases: re.Pattern[str], texts: Sequence[str]) -> bool:
    having = [text for text in texts if containing((term,)).search(text)]
    return sum(phrases.search(text) is not None for text in having) >= _SAME * len(having)


def _dividing(view: View) -> list[PromptWord]:
    texts = {prompt.id: prompt.text for prompt in view.explored}
    return [word for word in dividing_words(texts, view.divergences, _CANDIDATES) if abs(word.z) >= _NOTABLE]


def _sides(starting: bool) -> tuple[str, str, Any]:
    more, less = ("starting", "comparison") if starting else ("comparison", "starting")
    return more, less, more
