"""Views of texts in order of a number. Records keep their own order; sorting happens nowhere else.

Owns the orders, as places in what was given. A number belongs to a prompt by its id, never by its place (§7.3).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, TypeVar

Order = Literal["text", "prompt", "published", "none"]
"""By the texts' own numbers; prompts by their means, each with its texts; the published order; as given."""

_OWN_SHARE = 1e-7  # of a text's own number beside its block's mean, in the published order

_Id = TypeVar("_Id", bound=Hashable)


def prompt_means(values: Sequence[float], prompt_ids: Sequence[_Id]) -> dict[_Id, float]:
    """Each prompt's mean over its texts that have a number (NaN: none has), in the order in which prompts first come."""
    found: dict[_Id, list[float]] = {}
    for value, prompt in zip(values, prompt_ids, strict=True):
        known = found.setdefault(prompt, [])
        if not math.isnan(value):
            known.append(value)
    return {prompt: _mean(known) for prompt, known in found.items()}


def ordered(order: Order, values: Sequence[float], prompt_ids: Sequence[Hashable]) -> list[int]:
    """Places of the texts, highest numbers first; texts without one (NaN) come last, and equal ones as given.

    published: §2.4. Of one prompt alone each text by its own number; of several the blocks by their means, and inside by the
    texts' own numbers.
    """
    places = range(len(values))
    if order == "none":
        return list(places)
    if order == "text" or (order == "published" and len(set(prompt_ids)) == 1):
        return sorted(places, key=lambda place: _falling(values[place]))
    means = prompt_means(values, prompt_ids)
    if order == "published":
        return sorted(places, key=lambda place: _falling(means[prompt_ids[place]] + _OWN_SHARE * values[place]))
    first = {prompt: number for number, prompt in enumerate(means)}  # keeps blocks of equal means apart
    return sorted(
        places,
        key=lambda place: (
            _falling(means[prompt_ids[place]]),
            first[prompt_ids[place]],
            _falling(values[place]),
        ),
    )


def by_prompt(values: Sequence[float], prompt_ids: Sequence[_Id]) -> Mapping[_Id, list[float]]:
    """Each prompt's numbers, without those that are missing: the units of an interval."""
    found: dict[_Id, list[float]] = {}
    for value, prompt in zip(values, prompt_ids, strict=True):
        if not math.isnan(value):
            found.setdefault(prompt, []).append(value)
    return found


def _mean(known: Sequence[float]) -> float:
    if not known:
        return math.nan
    total = math.fsum if all(map(math.isfinite, known)) else sum  # fsum refuses infinities of both signs
    return total(known) / len(known)


def _falling(value: float) -> tuple[bool, float]:
    return math.isnan(value), 0.0 if math.isnan(value) else -value
