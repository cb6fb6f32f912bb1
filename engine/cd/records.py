"""Texts with their numbers as records: responses as every method keeps them, numbers as measurements of kind `divergences`.

Owns the columns and reading both back together. It knows neither models nor how texts are made; no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.cd.numbers import TokenNumbers
from engine.cd.settings import Region

KIND = "divergences"


@dataclass(frozen=True)
class MeasuredText:
    """A text and what two models thought of each of its tokens. `tokens` are the written ones as text pieces, in step with
    `generated`; `prompt_tokens` the shared ones of the prompt, but its first, in step with `prompt_numbers` (None where the
    prompt was not measured)."""

    id: str
    cell: str
    prompt_id: str
    prompt: str
    sample: int
    text: str
    tokens: Sequence[str]
    token_ids: Sequence[int]
    generated: TokenNumbers
    prompt_tokens: Sequence[str]
    prompt_numbers: TokenNumbers | None

    def mean(self, measure: str, region: Region = "generated") -> float:
        """The measure's mean over the region's tokens; NaN where it has none."""
        raise NotImplementedError

    def perplexity(self, member: str, region: Region = "generated") -> float:
        """exp of the mean negative log-probability that the member gave to the region's tokens."""
        raise NotImplementedError
