"""A/B evaluation (CAA §5.1): how probable the letter of the answer that shows the behaviour is, at every arm of a sweep.

Owns the mixture over lead-ins. p_a and p_b are probabilities over the whole vocabulary;
p_matching = p(letter that matches) / (p_a + p_b).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from engine.chats import Choice, encode_chat, encode_choice, marker_position
from engine.data import ABItem
from engine.forward import Steering
from engine.likelihood import Likelihood, Query, likelihoods
from engine.models import LoadedModel


def measure(
    model: LoadedModel,
    questions: Sequence[tuple[int, ABItem]],
    steering: Steering,
    batch_size: int,
    marker: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Ask each (arm, item) → one record each, in order, without its multiplier, which belongs to the arm."""
    encoded: dict[str, list[tuple[Choice, int | None]]] = {}
    queries: list[Query] = []
    for arm, item in questions:
        if item.id not in encoded:
            encoded[item.id] = _encode(model, item, marker if steering.rule == "from_marker" else None)
        for choice, place in encoded[item.id]:
            prompt, lead_in = choice.ids[: choice.prompt_length], choice.ids[choice.prompt_length :]
            queries.append(Query(prompt, lead_in, choice.candidates, arm, place))
    found: dict[int, Likelihood] = {}
    for index, likelihood in likelihoods(model, queries, steering, batch_size):
        found[index] = likelihood
        advance(1)
    leads = iter(found[index] for index in range(len(queries)))
    return [_record(item, [next(leads) for _ in item.lead_ins]) for _, item in questions]


def _encode(model: LoadedModel, item: ABItem, marker: str | None) -> list[tuple[Choice, int | None]]:
    """Every lead-in with its letters, and where the marker ends in the prompt."""
    place = marker_position(encode_chat(model.tokenizer, item.chat), marker) if marker else None
    return [(encode_choice(model.tokenizer, item.chat, lead_in, item.letters), place) for lead_in in item.lead_ins]


def _record(item: ABItem, leads: Sequence[Likelihood]) -> dict[str, Any]:
    """Mix the letters' probabilities over the lead-ins, each weighted by its own probability among them."""
    highest = max(lead.continuation for lead in leads)
    odds = [math.exp(lead.continuation - highest) for lead in leads]
    weights = [odd / sum(odds) for odd in odds]
    p_a, p_b = (
        sum(weight * math.exp(lead.candidates[letter]) for weight, lead in zip(weights, leads, strict=True))
        for letter in (0, 1)
    )
    matching = p_a if item.matching == "A" else p_b
    return {
        "item_id": item.id,
        "matching": item.matching,
        "p_a": p_a,
        "p_b": p_b,
        "p_matching": matching / (p_a + p_b),
        "lead_in_weights": weights,
        "category": item.category,
    }
