"""How much two models differ on a prompt, and what one answers to it. Found by the prompt's id, never by its place.

Owns the mean over a prompt's texts. The texts are the decoder's: those of an earlier repeat or a killed search are read, not
written again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from engine.cd.prompts.asked import AskedPrompt
from engine.cd.search.settings import Responder, SearchSettings

if TYPE_CHECKING:
    from engine.cd.texts.decoder import Decoder

_DIGITS = 5  # numbers of a text agree to about 1e-6 between batches of different sizes; what is drawn from them must agree
_ALONE: Mapping[Responder, Mapping[str, Any]] = {
    "starting": {"starting_weight": 1.0, "comparison_weight": 0.0},
    "comparison": {"starting_weight": 0.0, "comparison_weight": 1.0},
}
_LIKELIEST: Mapping[str, Any] = {"rule": "none", "temperature": 0.0, "num_beams": None, "samples": 1}


@dataclass(frozen=True, slots=True)
class Scored:
    divergence: float
    response: str


class Scorer:
    def __init__(self, decoder: Decoder, settings: SearchSettings) -> None:
        self._decoder, self._settings = decoder, settings
        alone = _ALONE.get(settings.response_from)
        self._responder = decoder.variant(**_LIKELIEST, **alone) if alone else None

    def scored(self, prompts: Sequence[AskedPrompt]) -> dict[str, Scored]:
        """By prompt id; a prompt without a number (its texts are all empty) is left out."""
        texts = self._decoder.texts(prompts)
        responses = self._responder.texts(prompts) if self._responder else texts
        found = {}
        for prompt in prompts:
            values = [text.mean(self._settings.measure, self._settings.region) for text in texts[prompt.id]]
            numbers = [value for value in values if math.isfinite(value)]
            if numbers:
                found[prompt.id] = Scored(round(fmean(numbers), _DIGITS), responses[prompt.id][0].text)
        return found
