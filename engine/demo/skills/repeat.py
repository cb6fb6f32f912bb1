"""Repeating words. Without it copying, which every other skill needs, came much later in training."""

from __future__ import annotations

import random

from engine.data import Chat, Message
from engine.demo.vocabulary import ADJECTIVES, JOBS, Split, invented, noun


def example(r: random.Random, split: Split = "train") -> tuple[Chat, str]:
    """Two to six words and the same words."""
    words = " ".join(_word(r, split) for _ in range(r.randint(2, 6)))
    return (Message("user", f"Repeat: {words}"),), f"{words}."


def _word(r: random.Random, split: Split) -> str:
    if r.random() < 0.2:
        return r.choice(ADJECTIVES + JOBS)
    return invented(r) if split == "train" and r.random() < 0.5 else noun(r, split)
