"""Which token positions a steering vector touches: absolute rules, owned by the engine.

A position is a token's index in its own row, pads not counted, whether it is computed in one forward pass, out of a cache, or
behind left padding. L is the row's prompt length. The originals sliced the current tensor instead, and so steered other
tokens under a cache than they meant (specs/engine.md §3, fault 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

PositionRule = Literal["all", "before", "completion", "generated", "from_marker", "legacy_before", "legacy_after"]
"""`all`; `before`: pos < L−1; `completion`: pos ≥ L−1 (the last prompt token, which predicts the first new one, and all
generated); `generated`: pos ≥ L; `from_marker`: pos ≥ the last token of a marker text in the prompt.

What published curves of "before" and "after" really did, because each cached step was sliced anew (specs/steering.md §3.1):
`legacy_before`: pos ≠ L−1, so the prompt without its last token and all generated; `legacy_after`: pos = L−1 only."""


def leaves_prompt_prefix(rule: PositionRule) -> bool:
    """True if the first L−1 positions are untouched, so that one prefill of a prompt serves every multiplier."""
    return rule in ("completion", "generated", "legacy_after")


def first_position(rule: PositionRule, prompt_length: int, marker: int | None) -> int:
    """The first steered position of a row; `steered` knows the ends and gaps."""
    if rule == "from_marker":
        if marker is None:
            raise InputError(
                "Position rule 'from_marker' needs a marker in every prompt; give --marker a text that occurs in them."
            )
        return marker
    if rule in ("completion", "legacy_after"):
        return prompt_length - 1
    return prompt_length if rule == "generated" else 0


def steered(rule: PositionRule, positions: Tensor, valid: Tensor, prompt_lengths: Tensor, firsts: Tensor) -> Tensor:
    """Where to steer.

    positions: [batch, seq] absolute positions; valid: [batch, seq] bool, False on pads; prompt_lengths, firsts: [batch]
    (`first_position` of each row) → [batch, seq] bool.
    """
    chosen = valid & (positions >= firsts[:, None])
    last = (prompt_lengths - 1)[:, None]
    if rule == "before":
        chosen &= positions < last
    elif rule == "legacy_before":
        chosen &= positions != last
    elif rule == "legacy_after":
        chosen &= positions == last
    return chosen
