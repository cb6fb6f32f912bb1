"""What the methods read: chats, contrast pairs, A/B items and open prompts, whichever source they come from.

Owns the record types only. It knows neither models nor tokenizers: a chat becomes tokens in `engine.models`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


Chat = tuple[Message, ...]
"""Turns in order. A chat that ends in a user turn is read at the last token of the generation prompt; one that ends in an
assistant turn is a prefilled answer, read at the last token of that answer (no end-of-turn token is added)."""


@dataclass(frozen=True, slots=True)
class ContrastPair:
    """Two chats that differ in one behaviour; the steering vector is mean(positive) − mean(negative) (CAA, §2.2)."""

    id: str
    positive: Chat
    negative: Chat


@dataclass(frozen=True, slots=True)
class ABItem:
    """A two-option question. `matching` is the letter of the answer that shows the behaviour.

    `lead_ins` are the texts that may come before the letter in the assistant's turn, each continued by the letter itself:
    `("(",)` for the published CAA items (the letter token after the bracket), `("Yes,", "No,")` for the demo model, whose
    answers say a stance word first. With several, P(letter) is summed over them, weighted by their own probability.
    `letters` are the texts of the two letters as they continue a lead-in (" A" after "Yes,"; "A" after "(").
    """

    id: str
    chat: Chat
    matching: Literal["A", "B"]
    lead_ins: tuple[str, ...] = ("(",)
    letters: tuple[str, str] = ("A", "B")


@dataclass(frozen=True, slots=True)
class Prompt:
    """An open question: the model writes the answer."""

    id: str
    chat: Chat


def data_hash(records: Iterable[ContrastPair | ABItem | Prompt]) -> str:
    """sha256 (first 16 hex digits) of the records' canonical JSON: the data part of a settings key."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(json.dumps(asdict(record), sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()[:16]
