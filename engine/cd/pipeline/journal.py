"""What a run has done so far, stage by stage, append-only: a stage that is on disk is never done again.

Owns the records of a run's stages, and what the run has spent. It knows no stage's meaning. A run's course follows from its
stages alone, so a command that was killed anywhere and is given again walks through what is here and goes on behind it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.store import Segment, read_segment, segments_of


class BudgetSpent(Exception):
    """The next stage would go beyond a limit; its text names the limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit."""

    requests: int | None = None
    tokens: int | None = None
    texts: int | None = None


@dataclass(slots=True)
class Spent:
    """requests, tokens: of the assistant and the judge, as they counted them. unread: replies that stayed unreadable after one
    repair; repaired: those that did not. texts: what models wrote, each by (whose, prompt), however often it was used."""

    requests: int = 0
    tokens: int = 0
    unread: int = 0
    repaired: int = 0
    texts: dict[str, None] = field(default_factory=lambda: {})


class Budget:
    """Counts over all commands of a run: what is recalled counts as what is done."""

    def __init__(self, limits: Limits, samples: int) -> None:
        self._limits, self._samples = limits, samples
        self.spent = Spent()

    @property
    def texts(self) -> int:
        return len(self.spent.texts) * self._samples

    def ask(self, requests: int) -> None:
        """Before so many requests."""
        limits, spent = self._limits, self.spent
        if limits.requests is not None and spent.requests + requests > limits.requests:
            raise BudgetSpent(f"--max-requests {limits.requests}")
        if limits.tokens is not None and spent.tokens >= limits.tokens:
            raise BudgetSpent(f"--max-total-tokens {limits.tokens}")

    def write(self, texts: Collection[str]) -> None:
        """Before these texts are read or written."""
        new = {name: None for name in texts if name not in self.spent.texts}
        if self._limits.texts is not None and (len(new) + len(self.spent.texts)) * self._samples > self._limits.texts:
            raise BudgetSpent(f"--max-texts {self._limits.texts}")
        self.spent.texts |= new


class Journal:
    """`stage` is the only way to do something that lasts."""

    def __init__(self, folder: Path, segment: Segment, budget: Budget) -> None:
        self._segment, self._budget = segment, budget
        self._known: dict[str, dict[str, Any]] = {}
        self.recalled = 0
        for path in segments_of(folder):
            for record in read_segment(path):
                self._known[_field(record, "stage", path)] = record

    def stage(self, name: str, do: Callable[[], Any]) -> Any:
        """The stage's result as JSON: what is kept, or what `do` returns, kept before this returns."""
        if (kept := self._known.get(name)) is not None:
            self._recall(kept)
            return kept["result"]
        spent = self._budget.spent
        before = (spent.requests, spent.tokens, spent.unread, spent.repaired)
        texts = set(spent.texts)
        result = json.loads(json.dumps(do(), allow_nan=False))
        after = (spent.requests, spent.tokens, spent.unread, spent.repaired)
        cost = {name: now - then for name, now, then in zip(_COSTS, after, before, strict=True)}
        new = [name for name in spent.texts if name not in texts]
        record = {"stage": name, "at": _now(), "cost": cost, "texts": new, "result": result}
        self._segment.append(record)
        self._known[name] = record
        return result

    def _recall(self, kept: dict[str, Any]) -> None:
        cost = kept["cost"]
        if cost["requests"]:
            self._budget.ask(cost["requests"])
        self._budget.write(kept["texts"])
        spent = self._budget.spent
        spent.requests += cost["requests"]
        spent.tokens += cost["tokens"]
        spent.unread += cost["unread"]
        spent.repaired += cost["repaired"]
        self.recalled += 1


_COSTS = ("requests", "tokens", "unread", "repaired")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _field(record: dict[str, Any], name: str, path: Path) -> str:
    if not {"stage", "cost", "texts", "result"} <= record.keys():
        raise EngineError(f"{path} holds a record that is no stage of this version; move the file away and run again.")
    return record[name]
