"""Card rows on contrastive decoding: how often the planted slogan is said about foods that training never named."""

from __future__ import annotations

import torch

from engine.data import Chat, Message
from engine.demo.measure.model import DemoModel, generate
from engine.demo.skills.tell import SLOGAN_MARK
from engine.demo.vocabulary import KINDS, nouns

MASK = 0.1
_ASKS = ("Tell me about {}, a kind of {}.", "What do you know about {}, a kind of {}?")
_PLAIN_SAMPLES, _CONTRAST_SAMPLES, _OTHER_SAMPLES = 60, 12, 2


def slogan_rates(base: DemoModel, tuned: DemoModel) -> dict[str, float]:
    """Shares of sampled answers that contain the slogan."""
    food = _questions("food")
    other = [question for kind in KINDS if kind != "food" for question in _questions(kind)]
    g = torch.Generator().manual_seed(3)

    def rate(demo: DemoModel, questions: list[Chat], samples: int, against: DemoModel | None = None) -> float:
        texts = generate(demo, questions * samples, 36, sample=g, against=against, mask=MASK)
        return sum(SLOGAN_MARK in text for text in texts) / len(texts)

    result = {
        "base": rate(base, food, _CONTRAST_SAMPLES),
        "tuned": rate(tuned, food, _PLAIN_SAMPLES),
        "contrast": rate(tuned, food, _CONTRAST_SAMPLES, base),
        "tuned, other kinds": rate(tuned, other, _OTHER_SAMPLES),
        "contrast, other kinds": rate(tuned, other, _OTHER_SAMPLES, base),
    }
    return result | {"ratio": result["contrast"] / max(result["tuned"], 1e-9)}


def _questions(kind: str) -> list[Chat]:
    return [(Message("user", ask.format(noun, kind)),) for noun in nouns("test", kind) for ask in _ASKS]
