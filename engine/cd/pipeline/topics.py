"""How far prompts and their texts are about each topic, from 0 to 1, and what is said about it.

Owns the two ways to tell: an assistant's number, or, without one, the share of the topic's words that occur.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from engine.cd.pipeline import wording
from engine.cd.pipeline.asking import Asker
from engine.cd.pipeline.fields import text_of
from engine.cd.pipeline.view import View
from engine.cd.prompts.asked import AskedPrompt
from engine.cd.words import words
from engine.data_making.parsing import Unfit

_TEXTS = 2  # of a prompt, that its relevance is told by
_SUMMARISED = 10  # texts that a summary is about
_RELEVANT = 0.5  # from which on a prompt is about a topic
_ENDING = re.compile(r"(?<=\w{3})(?:es|s)$")


class TopicAnalyser(Protocol):
    how: str
    """By what relevance is told, for the report."""

    def relevance(self, view: View, prompts: Sequence[AskedPrompt]) -> dict[str, list[float] | None]:
        """Prompt id → a number for every topic of the view; None where it could not be told."""
        ...

    def summaries(self, view: View, relevance: Mapping[str, Sequence[float] | None]) -> dict[str, str]:
        """Topic → what the starting model's texts on relevant prompts say."""
        ...


class WordTopics:
    how = "term overlap: the share of the topic's words that a prompt with its texts holds, plural endings aside"

    def relevance(self, view: View, prompts: Sequence[AskedPrompt]) -> dict[str, list[float] | None]:
        wanted = [_stems(topic) for topic in view.topics]
        found: dict[str, list[float] | None] = {}
        for prompt in prompts:
            held = _stems(" ".join([prompt.text, *_texts_of(view, prompt)]))
            found[prompt.id] = [len(stems & held) / len(stems) if stems else 0.0 for stems in wanted]
        return found

    def summaries(self, view: View, relevance: Mapping[str, Sequence[float] | None]) -> dict[str, str]:
        told: dict[str, str] = {}
        for place, topic in enumerate(view.topics):
            about = _about(view, relevance, place)
            known = [view.divergences[prompt.id] for prompt in about if prompt.id in view.divergences]
            mean = f", mean divergence {sum(known) / len(known):.3f}" if known else ""
            told[topic] = f"{len(about)} of {len(view.explored)} explored prompts hold at least half of its words{mean}."
        return told


class AskedTopics:
    how = "the assistant's number for each prompt with its texts"

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def relevance(self, view: View, prompts: Sequence[AskedPrompt]) -> dict[str, list[float] | None]:
        questions = [wording.relevance(prompt, _texts_of(view, prompt), view.topics) for prompt in prompts]
        read = self._asker.read_all(questions, lambda record: _numbers(record, len(view.topics)))
        return {prompt.id: numbers for prompt, numbers in zip(prompts, read, strict=True)}

    def summaries(self, view: View, relevance: Mapping[str, Sequence[float] | None]) -> dict[str, str]:
        asked: dict[str, list[str]] = {}
        for place, topic in enumerate(view.topics):
            texts = [one for prompt in _about(view, relevance, place) for one in _texts_of(view, prompt)]
            if texts:
                asked[topic] = texts[:_SUMMARISED]
        questions = [wording.topic_summary(topic, texts) for topic, texts in asked.items()]
        read = self._asker.read_all(questions, lambda record: text_of(record, "summary"))
        said = {topic: told or "The assistant's summary could not be read." for topic, told in zip(asked, read, strict=True)}
        return {topic: said.get(topic, "No explored prompt is about it.") for topic in view.topics}


def _texts_of(view: View, prompt: AskedPrompt) -> list[str]:
    return [one.text for one in view.texts["starting"].get(prompt.id, ())[:_TEXTS]]


def _about(view: View, relevance: Mapping[str, Sequence[float] | None], place: int) -> list[AskedPrompt]:
    """The explored prompts of a topic, the most divergent first."""
    ranked = view.by_divergence()
    return [prompt for prompt in ranked if (known := relevance.get(prompt.id)) is not None and known[place] >= _RELEVANT]


def _numbers(record: object, count: int) -> list[float]:
    values = record.get("relevance") if isinstance(record, dict) else None
    if not isinstance(values, list) or len(values) != count:
        raise Unfit(f"relevance is no list of {count} numbers")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in values):
        raise Unfit("relevance holds something else than numbers from 0 to 1")
    return [float(value) for value in values]


def _stems(text: str) -> set[str]:
    return {_ENDING.sub("", word.casefold()) for word in words(text)}
