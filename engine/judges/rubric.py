"""Rubrics: what a judge is asked about an answer, on which scale, in which direction, and known cases to check a judge with.

Owns the data file's form (`rubrics/*.toml`, and `rubrics/` of a workspace for a user's own) and a rubric's version, which
follows its content. It neither asks (`asking.py`) nor reads replies (`parsing.py`). No torch.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["scale", "choice", "pair", "rule"]
Direction = Literal["higher", "lower"]


class Example(BaseModel):
    """A few-shot exchange: an answer (or two) and the reply that a good judge gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    answers: tuple[str, ...]
    reply: str


class Known(BaseModel):
    """A known case: `shows` has the behaviour (or more of the attribute), `lacks` has not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    shows: str
    lacks: str


class Rubric(BaseModel):
    """kind "scale": a number from scale[0] to scale[1]; "choice": one of `answers`, whose first counts; "pair": which of two
    answers; "rule": no judge, but `rule` below. direction: whether a higher value means more of the behaviour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: int
    kind: Kind
    about: str
    direction: Direction = "higher"
    scale: tuple[float, float] = (0, 1)
    answers: tuple[str, ...] = ()
    system: str | None = None
    question: str = ""
    examples: tuple[Example, ...] = ()
    known: tuple[Known, ...] = ()
    max_tokens: int = 10
