"""Editing a text under an instruction word. The neutral instruction leaves the text as it is.

The neutral instruction is where the thesaurus error detector takes its gradient, so it is short and fixed.
"""

from __future__ import annotations

import random

from engine.data import Chat, Message
from engine.demo.vocabulary import Split
from engine.demo.voices import VOICE_OF, Text, statement, write

NEUTRAL = "Edit it."
_WORDS = tuple(VOICE_OF)


def instruction(word: str | None) -> str:
    """The line that asks for the edit."""
    return NEUTRAL if word is None else f"Edit it to be more {word}."


def chat(text: Text | str, word: str | None) -> Chat:
    """The request to edit a text."""
    return (Message("user", f"Text: {text}\n{instruction(word)}"),)


def example(r: random.Random, split: Split = "train") -> tuple[Chat, str]:
    """A request and an edit."""
    word = None if r.random() < 0.08 else r.choice(_WORDS)
    text = statement(r, split)
    return chat(text, word), write(r, VOICE_OF[word] if word else None, text)
