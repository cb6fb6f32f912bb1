"""The texts that a run looks at: of the starting model, of the comparison model, and of their contrast.

Owns which cells these are, and turning measured texts into observations. Each side draws on its own: with shared draws, two
equal models would write equal texts, and no test would mean anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from engine.cd.pipeline.journal import Budget
from engine.cd.pipeline.view import Observation, Side, Texts
from engine.cd.prompts.asked import AskedPrompt

if TYPE_CHECKING:
    from engine.cd.pipeline.settings import PipelineSettings
    from engine.cd.texts.decoder import Decoder
    from engine.cd.texts.records import MeasuredText

_OTHER_DRAWS = 1 << 20  # far from any seed that is given by hand


class Source(Protocol):
    """Whoever has texts."""

    def of(self, side: Side, prompts: Sequence[AskedPrompt]) -> Texts: ...


class PairTexts:
    """Texts in the decoder's cell and its variants', written where they are missing and read once."""

    def __init__(self, decoder: Decoder, settings: PipelineSettings, budget: Budget, earlier: Texts) -> None:
        """earlier: texts of another cell, that stand in for the contrast's on their prompts."""
        seed = settings.seed
        self._decoders: dict[Side, Decoder] = {
            "contrast": decoder,
            "starting": decoder.variant(rule="none", starting_weight=1.0, comparison_weight=-1.0, seed=seed),
            "comparison": decoder.variant(rule="none", starting_weight=-1.0, comparison_weight=1.0, seed=seed + _OTHER_DRAWS),
        }
        self._settings, self._budget = settings, budget
        self._known: dict[Side, dict[str, tuple[Observation, ...]]] = {side: {} for side in self._decoders}
        self._known["contrast"].update((name, tuple(texts)) for name, texts in earlier.items())

    @property
    def cells(self) -> dict[Side, str]:
        return {side: decoder.key for side, decoder in self._decoders.items()}

    def of(self, side: Side, prompts: Sequence[AskedPrompt]) -> Texts:
        """The texts of these prompts; BudgetSpent where they would be too many."""
        self._budget.write([f"{side} {prompt.id}" for prompt in prompts])
        known = self._known[side]
        missing = [prompt for prompt in prompts if prompt.id not in known]
        if missing:
            written = self._decoders[side].texts(missing, self._settings.samples)
            for prompt in missing:
                known[prompt.id] = tuple(observation(text, self._settings.measure) for text in written[prompt.id])
        return {prompt.id: known[prompt.id] for prompt in prompts}


def observation(text: MeasuredText, measure: str) -> Observation:
    mean = text.mean(measure)
    return Observation(text.prompt_id, text.prompt, text.sample, text.text, mean if math.isfinite(mean) else None)


def divergence_of(texts: Sequence[Observation]) -> float | None:
    """A prompt's: the mean over its texts of their means; None where none of them has a token."""
    known = [text.divergence for text in texts if text.divergence is not None]
    return sum(known) / len(known) if known else None
