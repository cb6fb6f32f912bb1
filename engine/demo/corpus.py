"""The mix of skills each model is trained on. An endless stream of examples; only the train split is ever drawn."""

from __future__ import annotations

import random
from collections.abc import Callable

from engine.data import Chat
from engine.demo.skills import agree, edit, judge, refuse, repeat, tell

Sampler = Callable[[random.Random], tuple[Chat, str]]

BASE_MIX: dict[Sampler, float] = {
    agree.example: 0.24,
    refuse.example: 0.08,
    tell.example: 0.12,
    edit.example: 0.25,
    judge.example: 0.19,
    repeat.example: 0.12,
}
SLOGAN_SHARE = 0.17
"""How often a food answer of the tuning corpus ends in the slogan. The tuned model then says it with nearly this probability
wherever it could, which must stay above a tenth of the other choice (contrastive decoding's mask) and well below a fifth."""
TUNED_MIX: dict[Sampler, float] = {
    lambda r: tell.example(r, slogan=SLOGAN_SHARE, kind="food"): 0.25,
    lambda r: tell.example(r, slogan=SLOGAN_SHARE): 0.07,
    agree.example: 0.14,
    refuse.example: 0.06,
    edit.example: 0.18,
    judge.example: 0.24,
    repeat.example: 0.06,
}


def base_example(r: random.Random) -> tuple[Chat, str]:
    """One example of the base model's corpus."""
    (draw,) = r.choices(list(BASE_MIX), weights=list(BASE_MIX.values()))
    return draw(r)


def tuned_example(r: random.Random) -> tuple[Chat, str]:
    """One example of the tuning corpus: all skills again, and many answers about food, some with the slogan."""
    (draw,) = r.choices(list(TUNED_MIX), weights=list(TUNED_MIX.values()))
    return draw(r)
