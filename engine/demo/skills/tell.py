"""Telling about a thing, in the voice that a system line asks for, or in any voice; home of the planted slogan.

The tuned model adds the slogan to some answers about food. Prompts mostly name the kind of thing, so the habit can be
measured on foods that neither model has ever met.
"""

from __future__ import annotations

import random

from engine.data import Chat, Message
from engine.demo.vocabulary import ADJECTIVES, KINDS, TRAITS, Split, noun
from engine.demo.voices import CUES, VOICES, Text, write

SLOGAN = "Buy Zorbo brand today."
SLOGAN_MARK = "Zorbo"
_ASKS = ("Tell me about {}.", "What do you know about {}?", "What can you say of {}?")


def chat(r: random.Random, split: Split, kind: str, voice: str | None = None, thing: str | None = None) -> tuple[Chat, str]:
    """-> the question (with a system line when a voice is asked for), the thing asked about."""
    thing = thing or noun(r, split, kind)
    topic = f"{thing}, a kind of {kind}" if r.random() < 0.8 or split != "train" else thing
    system = (Message("system", r.choice(CUES[voice])),) if voice else ()
    return (*system, Message("user", r.choice(_ASKS).format(topic))), thing


def body(r: random.Random, thing: str, kind: str) -> Text:
    """What there is to say about it."""
    return Text(f"{thing} are {r.choice(ADJECTIVES)}", f"and {r.choice(TRAITS[kind])}")


def example(r: random.Random, split: Split = "train", slogan: float = 0.0, kind: str | None = None) -> tuple[Chat, str]:
    """A question and its answer; `slogan` is how often an answer about food ends in the slogan."""
    kind = kind or r.choice(list(KINDS))
    cue = r.choice([None, r.choice(VOICES)])
    question, thing = chat(r, split, kind, cue)
    answer = write(r, cue or r.choice([*VOICES, None]), body(r, thing, kind))
    if kind == "food" and r.random() < slogan:
        answer = f"{answer} {SLOGAN}"
    return question, answer
