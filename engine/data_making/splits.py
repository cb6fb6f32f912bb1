"""Which split an item belongs to and which letter its matching answer gets.

A split follows from the item's own text, so adding items never moves one. Letters are dealt in pairs, in order: of two items
that follow each other in a split one is A and one is B, so the numbers differ by one at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from engine.data_making.duplicates import normalised
from engine.progress import notice

Split = Literal["train", "validation", "test"]
Letter = Literal["A", "B"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_Item = TypeVar("_Item")


def split_of(text: str, validation: float, test: float) -> Split:
    place = int.from_bytes(hashlib.sha256(normalised(text).encode()).digest()[:8], "big") / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"


def divided(items: Iterable[_Item], text: Callable[[_Item], str], validation: float, test: float) -> dict[Split, list[_Item]]:
    """The items of each split, in the order they came."""
    parts: dict[Split, list[_Item]] = {split: [] for split in SPLITS}
    for item in items:
        parts[split_of(text(item), validation, test)].append(item)
    return parts


def tell_empty(parts: Mapping[Split, Sequence[object]], shares: Mapping[Split, float]) -> None:
    """Say which splits were asked for and got nothing: with few items that happens."""
    for split in [split for split, share in shares.items() if share and not parts[split]]:
        notice(f"no item fell into the {split} split; make more items, or give it a larger share with --{split}")


def letters(name: str, seed: int, count: int, first: Letter | None = None) -> list[Letter]:
    """`count` letters, each pair in an order drawn by (name, seed, pair); `first` fixes that of an unpaired last one."""
    orders: tuple[tuple[Letter, Letter], ...] = (("A", "B"), ("B", "A"))
    dealt: list[Letter] = []
    for pair in range((count + 1) // 2):
        dealt += orders[hashlib.sha256(f"letters {name} {seed} {pair}".encode()).digest()[0] & 1]
    del dealt[count:]
    if count % 2 and first is not None:
        dealt[-1] = first
    return dealt
