"""What requests are about, so that no two ask for the same: topics and styles, dealt out by seed and request number."""

from __future__ import annotations

import random
from collections.abc import Sequence

TOPICS: tuple[str, ...] = (
    "cooking and food", "housing and neighbours", "school and learning", "work and colleagues", "money and saving",
    "health and sleep", "sport and training", "travel and maps", "weather and seasons", "gardens and plants",
    "animals and pets", "family and children", "friendship", "music", "films and books", "painting and craft",
    "history", "languages", "mathematics", "physics and space", "medicine", "law and courts", "farming", "factories",
    "shops and trade", "cars and roads", "trains and ships", "energy", "rivers and oceans", "cities", "villages",
    "computers", "software projects", "artificial intelligence", "news and media", "elections", "charity",
    "religion and custom", "ageing", "holidays and feasts",
)  # fmt: skip

STYLES: tuple[str, ...] = (
    "plain and short", "polite and formal", "chatty, with a detail of everyday life", "technical and exact",
    "told as a short scene", "from a beginner", "from an expert", "in a hurry", "curious", "doubtful", "worried", "cheerful",
)  # fmt: skip

_TOPICS_PER_REQUEST = 3


def dealt(seed: int, number: int, topics: Sequence[str] = ()) -> tuple[tuple[str, ...], str]:
    """The topics and the style of request `number`. Each topic comes as often as any other: whole shuffled rounds are dealt."""
    topics = topics or TOPICS
    count = min(_TOPICS_PER_REQUEST, len(topics))
    chosen = tuple(_nth(f"topics {seed}", topics, number * count + i) for i in range(count))
    return tuple(dict.fromkeys(chosen)), _nth(f"styles {seed}", STYLES, number)


def _nth(name: str, deck: Sequence[str], n: int) -> str:
    """Card `n` of an endless row of shuffled decks."""
    turn, place = divmod(n, len(deck))
    cards = list(deck)
    random.Random(f"{name} {turn}").shuffle(cards)
    return cards[place]
