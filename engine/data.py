"""What the methods read: chats, contrast pairs, A/B items and open prompts, whichever source they come from.

Owns the record types only. It knows neither models nor tokenizers: a chat becomes tokens in `engine.models`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
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
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """An open question: the model writes the answer. `label` is the kind of question, where there are several ("harmful")."""

    id: str
    chat: Chat
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One chat of a class, read at its last token. `item` is the A/B question that the chat answers, where it is one: its
    letter tells behaviour and letter apart in figures, and its log-odds are what `--logit` regresses on."""

    id: str
    chat: Chat
    item: ABItem | None = None


@dataclass(frozen=True)
class Contrast:
    """Two classes of examples or more. The vector of class `target` is its mean activation minus the mean of the other
    classes' means; for two classes that is CAA's mean difference (§2.2)."""

    classes: Mapping[str, tuple[Example, ...]]
    target: str

    @classmethod
    def of_pairs(cls, pairs: Iterable[ContrastPair]) -> Contrast:
        pairs = tuple(pairs)
        sides = {"positive": [pair.positive for pair in pairs], "negative": [pair.negative for pair in pairs]}
        return cls(
            {
                name: tuple(Example(pair.id, chat) for pair, chat in zip(pairs, chats, strict=True))
                for name, chats in sides.items()
            },
            "positive",
        )

    def examples(self) -> tuple[Example, ...]:
        """Of all classes, the target's first."""
        names = [self.target, *(name for name in self.classes if name != self.target)]
        return tuple(example for name in names for example in self.classes[name])

    def hash(self) -> str:
        """Stands for who is in which class, in the vectors' key."""
        sizes = {name: len(examples) for name, examples in sorted(self.classes.items())}
        told = json.dumps([self.target, sizes]).encode()
        records = (example for name in sorted(self.classes) for example in self.classes[name])
        return hashlib.sha256(told + data_hash(records).encode()).hexdigest()[:16]


def data_hash(records: Iterable[ContrastPair | ABItem | Prompt | Example]) -> str:
    """sha256 (first 16 hex digits) of the records' canonical JSON: the data part of a settings key."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(json.dumps(asdict(record), sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()[:16]
