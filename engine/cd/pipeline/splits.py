"""Which prompts may suggest hypotheses and which test them. A prompt's side follows from its text alone, for ever: no order of
events, no other prompt and no number of runs can move it over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from engine.cd.prompts.asked import AskedPrompt

_Prompt = TypeVar("_Prompt", bound="AskedPrompt")


def is_held_out(prompt_id: str, share: float) -> bool:
    """Whether a prompt tests; `share` of all prompts do. A larger share only adds to them."""
    return _place(prompt_id, "side") < share


def in_fair_order(prompts: Iterable[_Prompt]) -> list[_Prompt]:
    """An order that knows nothing of where prompts stood: any first few of them are a fair sample."""
    return sorted(prompts, key=lambda prompt: (_place(prompt.id, "order"), prompt.id))


def _place(prompt_id: str, purpose: str) -> float:
    """A number in [0, 1), independent between purposes."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {prompt_id}".encode()).digest()[:8], "big") / 2**64
