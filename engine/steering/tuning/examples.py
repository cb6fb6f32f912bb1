"""What is learned: an A/B question up to the letter, and the letter.

Owns the step from A/B items to token ids. An item with several lead-ins (the demo's answers say a stance word first) gives one
example of each, so that the letter is learned whatever stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.chats import encode_choice
from engine.data import ABItem, Contrast
from engine.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Example:
    """The tokens before the letter, and the letter's."""

    ids: tuple[int, ...]
    label: int


def training_items(contrast: Contrast, behavior: str) -> tuple[ABItem, ...]:
    """The questions behind a contrast's examples, each once."""
    items = {example.item.id: example.item for example in contrast.examples() if example.item is not None}
    if not items:
        raise InputError(
            f"The data of '{behavior}' have no A/B questions to learn from; give --contrast ab and a behaviour that has them."
        )
    return tuple(items.values())


def encode(tokenizer: PreTrainedTokenizerBase, items: Iterable[ABItem], sign: Literal["pos", "neg"]) -> list[Example]:
    """Every item behind every lead-in, with the letter that is to be given."""
    encoded = []
    for item in items:
        letter = "AB".index(item.matching) if sign == "pos" else 1 - "AB".index(item.matching)
        for lead_in in item.lead_ins:
            choice = encode_choice(tokenizer, item.chat, lead_in, item.letters)
            encoded.append(Example(choice.ids, choice.candidates[letter]))
    return encoded


def longest(examples: Sequence[Example]) -> int:
    return max(len(example.ids) for example in examples)
