"""What proposes prompts, and what a proposal is. Two kinds follow it: an assistant that is asked, and the models themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.cd.search.records import Entry


@dataclass(frozen=True, slots=True)
class Proposal:
    """failure: why there are no prompts. hypotheses: what an assistant supposed before it wrote them."""

    prompts: tuple[str, ...]
    failure: str | None = None
    hypotheses: tuple[str, ...] = ()


class Proposer(Protocol):
    def propose(self, shown: Sequence[Entry], repeat: int, attempt: int) -> Proposal:
        """New prompts, made from those `shown`: the same ones whenever it is asked for this repeat and attempt."""
        ...
