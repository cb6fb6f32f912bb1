"""Phrases for the thesaurus: an instruction to a model and what a judge is asked about the result.

Owns what makes a phrase fit and the record `{id, instruction, eval_phrase, role, measure, tags}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.data_making.parsing import Unfit, has_placeholder, text_field
from engine.data_making.settings import Role

_PHRASE = (2, 40)
_LONG_LINE = (4, 200)
_VERB = re.compile(r"^[a-z]+s\b")
TRIPLED = re.compile(r"([a-z])\1\1", re.IGNORECASE)
"""A letter three times in a row occurs in no English word: a slip of spelling."""
DOUBLED_VERB = re.compile(r"^is (?:more|less) [a-z]{4,}[^su]s [a-z]+")
"""'is more supports freedom': two verbs where one belongs."""

FIELDS = {name: {"type": "string"} for name in ("phrase", "instruction", "eval_phrase")} | {
    "tags": {"type": "array", "items": {"type": "string"}}
}


@dataclass(frozen=True, slots=True)
class Phrase:
    id: str
    instruction: str
    eval_phrase: str
    role: Role
    measure: bool
    tags: tuple[str, ...]


def read(record: Any, role: Role, stem: str) -> Phrase:
    """One record of a reply as a phrase of this role, or the reason why it is none."""
    phrase = text_field(record, "phrase", *_PHRASE).lower().strip(" .")
    instruction = text_field(record, "instruction", *_LONG_LINE).rstrip(". ")
    eval_phrase = text_field(record, "eval_phrase", *_LONG_LINE).rstrip(". ")
    if not instruction.startswith(stem + " "):
        raise Unfit(f"instruction does not begin with {stem!r}")
    if not _VERB.match(eval_phrase) or DOUBLED_VERB.match(eval_phrase):
        raise Unfit("eval_phrase is no verb phrase")
    if any(TRIPLED.search(text) for text in (phrase, instruction, eval_phrase)):
        raise Unfit("misspelt")
    name = re.sub(r"[^a-z0-9]+", "-", phrase).strip("-")
    if not name:
        raise Unfit("phrase without letters")
    return Phrase(name, instruction, eval_phrase, role, role != "neutral", _tags(record))


def _tags(record: Any) -> tuple[str, ...]:
    tags = record.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag.strip() and not has_placeholder(tag) for tag in tags):
        raise Unfit("tags are no list of texts")
    return tuple(dict.fromkeys(tag.strip().lower() for tag in tags))
