"""One behaviour's data as the steering steps see them: a contrast, and the questions of the validation and test splits.

Owns the records, and which of them a limited run asks. It knows no files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from engine.data import ABItem, Contrast, Prompt, data_hash
from engine.steering.settings import Asked

ChoiceSet = Literal["ab", "truthfulqa", "mmlu"]
"""Sets of two-choice questions: the behaviour's own, and the two of knowledge, which are the same for every behaviour."""

_Asked = TypeVar("_Asked", ABItem, Prompt)


@dataclass(frozen=True, slots=True)
class Questions:
    """What a steered model is asked. Any part may be empty."""

    items: tuple[ABItem, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    truthfulqa: tuple[ABItem, ...] = ()
    mmlu: tuple[ABItem, ...] = ()

    def choices(self, kind: ChoiceSet) -> tuple[ABItem, ...]:
        return {"ab": self.items, "truthfulqa": self.truthfulqa, "mmlu": self.mmlu}[kind]

    def first(self, limit: int | None, questions: Collection[Asked] = ("ab", "open", "truthfulqa", "mmlu")) -> Questions:
        """Only what is asked, and of each at most `limit`: the first of items, over categories evenly; of labelled prompts as
        many of either label."""
        return Questions(
            self.items[:limit] if "ab" in questions else (),
            _evenly(self.prompts, [prompt.label for prompt in self.prompts], limit) if "open" in questions else (),
            _of_categories(self.truthfulqa, limit) if "truthfulqa" in questions else (),
            _of_categories(self.mmlu, limit) if "mmlu" in questions else (),
        )

    def hash(self) -> str:
        """Of the behaviour's own questions, whose ids say only where they stand. Those of knowledge are left out: their ids
        hold the hash of their content, and putting them beside other data must not orphan what is measured on those."""
        return data_hash((*self.items, *self.prompts))


@dataclass(frozen=True, slots=True)
class SteeringData:
    """One behaviour's data: a contrast for the vectors, validation to choose a layer on, test to report."""

    contrast: Contrast
    validation: Questions
    test: Questions

    def vectors_hash(self) -> str:
        validation = data_hash((*self.validation.items, *self.validation.prompts))
        return hashlib.sha256(f"{self.contrast.hash()} {validation}".encode()).hexdigest()[:16]


def _of_categories(items: tuple[ABItem, ...], limit: int | None) -> tuple[ABItem, ...]:
    return _evenly(items, [item.category for item in items], limit)


def _evenly(items: tuple[_Asked, ...], groups: Sequence[str | None], limit: int | None) -> tuple[_Asked, ...]:
    """The first of every group, then the second …, up to `limit`; in their own order. A higher limit only adds."""
    if limit is None or limit >= len(items):
        return items
    seen: dict[str | None, int] = {}
    turns = []
    for place, group in enumerate(groups):
        seen[group] = seen.get(group, 0) + 1
        turns.append((seen[group], place))
    return tuple(items[place] for place in sorted(place for _, place in sorted(turns)[:limit]))
