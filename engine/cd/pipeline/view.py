"""What a cycle has to go by: texts on development prompts, hypotheses and knowledge so far. Nothing of held-out prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.cd.pipeline.hypotheses import Hypothesis
from engine.cd.prompts.asked import AskedPrompt

Side = Literal["starting", "comparison", "contrast"]
SIDES: tuple[Side, ...] = ("starting", "comparison", "contrast")
_SUMMARY = 5  # entries of the knowledge base that its summary holds


@dataclass(frozen=True, slots=True)
class Observation:
    """One text of one side, and how much the models' predictions differed on it: its mean over tokens, None without any."""

    prompt_id: str
    prompt: str
    sample: int
    text: str
    divergence: float | None


Texts = Mapping[str, Sequence[Observation]]
"""Prompt id → its texts."""


@dataclass(frozen=True)
class View:
    """explored: development prompts whose texts are known, in the order in which they came; unexplored: the others. pool: all
    prompts that are known, of either half: what they ask is no secret, what models say to held-out ones is. divergences: by id
    of explored prompts."""

    cycle: int
    topics: Sequence[str]
    pool: Sequence[AskedPrompt]
    explored: Sequence[AskedPrompt]
    unexplored: Sequence[AskedPrompt]
    texts: Mapping[Side, Texts]
    divergences: Mapping[str, float]
    hypotheses: Sequence[Hypothesis]
    knowledge: Sequence[str]

    def side(self, side: Side) -> list[tuple[str, str]]:
        """All its texts on explored prompts, each behind its prompt's id."""
        return self.said(side, self.explored)

    def said(self, side: Side, prompts: Sequence[AskedPrompt]) -> list[tuple[str, str]]:
        """The side's texts on these prompts, likewise."""
        return [(prompt.id, one.text) for prompt in prompts for one in self.texts[side].get(prompt.id, ())]

    def by_divergence(self) -> list[AskedPrompt]:
        """The explored prompts whose divergence is known, the highest first."""
        known = [prompt for prompt in self.explored if prompt.id in self.divergences]
        return sorted(known, key=lambda prompt: (-self.divergences[prompt.id], prompt.id))

    def summary(self) -> str:
        return "\n".join(self.knowledge[-_SUMMARY:])
