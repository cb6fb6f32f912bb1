"""The loop that asks until there are enough good items, and the counts of everything that was dropped and why.

Owns the waves of requests, accepting records in the order of their requests (so a set does not depend on which reply came
first), and giving up. It knows neither servers nor any kind of item.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from engine.data_making.duplicates import Seen
from engine.data_making.parsing import Unfit, records_of
from engine.progress import Progress
from engine.remote.types import Reply, Request

Item = TypeVar("Item")

_LARGEST_WAVE = 256  # requests between two looks at what is still lacking
_LOWEST_YIELD = 0.5  # items per request that a wave reckons with at least


@dataclass(frozen=True, slots=True)
class Recipe(Generic[Item]):
    """What is made. Request `n` asks for items; `read` turns one record of its reply into an item or raises `Unfit`.

    `text` is what duplicates are found by. `groups` of items are wanted in equal numbers; `group` says which one an item is in.
    """

    request: Callable[[int], Request]
    read: Callable[[Any, int], Item]
    text: Callable[[Item], str]
    per_request: int
    groups: Sequence[str] = ("",)
    group: Callable[[Item], str] = lambda _: ""


@dataclass(slots=True)
class Tally:
    """What became of the requests and their records."""

    requests: int = 0
    failed: int = 0
    records: int = 0
    kept: int = 0
    surplus: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last_error: str | None = None


def make(
    recipe: Recipe[Item],
    ask: Callable[[Sequence[Request]], list[Reply]],
    count: int,
    max_requests: int,
    seen: Seen,
    progress: Progress,
) -> tuple[list[Item], Tally]:
    """Ask for items until there are `count`, or `max_requests` were sent, or a whole wave failed."""
    tally = Tally()
    items: list[Item] = []
    room = {group: len(range(place, count, len(recipe.groups))) for place, group in enumerate(recipe.groups)}
    while tally.kept < count and tally.requests < max_requests:
        wave = range(tally.requests, tally.requests + _wave(recipe, tally, count, max_requests))
        replies = ask([recipe.request(number) for number in wave])
        tally.requests += len(wave)
        for number, reply in zip(wave, replies, strict=True):
            for item in _items(recipe, number, reply, tally):
                if not any(room.values()):
                    tally.surplus += 1
                elif not room[recipe.group(item)]:
                    tally.dropped["enough of its kind"] += 1
                elif alike := seen.find(recipe.text(item)):
                    tally.dropped[alike] += 1
                else:
                    seen.add(recipe.text(item))
                    items.append(item)
                    room[recipe.group(item)] -= 1
                    tally.kept += 1
                    progress.advance()
        if all(reply.text is None for reply in replies):
            break
    return items, tally


def _wave(recipe: Recipe[Item], tally: Tally, count: int, max_requests: int) -> int:
    """How many requests should fill what is lacking, by what they brought so far."""
    brought = tally.kept / tally.requests if tally.requests else recipe.per_request
    wanted = math.ceil((count - tally.kept) / max(brought, _LOWEST_YIELD))
    return min(wanted, _LARGEST_WAVE, max_requests - tally.requests)


def _items(recipe: Recipe[Item], number: int, reply: Reply, tally: Tally) -> list[Item]:
    """The items of one reply; everything else is counted."""
    tally.prompt_tokens += reply.prompt_tokens
    tally.completion_tokens += reply.completion_tokens
    if reply.text is None:
        tally.failed += 1
        tally.last_error = reply.error
        return []
    try:
        records = records_of(reply.text, reply.finish)
    except Unfit as reason:
        tally.dropped[str(reason)] += 1
        return []
    tally.records += len(records)
    items = []
    for record in records:
        try:
            items.append(recipe.read(record, number))
        except Unfit as reason:
            tally.dropped[str(reason)] += 1
    return items
