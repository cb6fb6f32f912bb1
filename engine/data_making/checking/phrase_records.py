"""Phrase sets of the thesaurus: ours, and the form of the published code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, get_args

from engine.data_making.checking.findings import Finding, problem, text_problem, warning
from engine.data_making.phrases import DOUBLED_VERB, TRIPLED
from engine.data_making.settings import Role

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")
_FLAGS = {"edit_pair": (True, None), "exclude_eval": (True, False)}

Row = tuple[int, Any]


def ours(rows: Sequence[Row]) -> Iterator[Finding]:
    """`{id, instruction, eval_phrase, role, measure, tags}`."""
    ids: dict[str, int] = {}
    for row, record in rows:
        for name in ("id", "instruction", "eval_phrase"):
            if found := text_problem(record, row, name):
                yield found
        name = record.get("id")
        if isinstance(name, str) and name.strip():
            if not _ID.match(name):
                yield problem(row, "id", f"is {name!r}", "use letters, digits and _ . + - only")
            if ids.setdefault(name, row) != row:
                yield problem(row, "id", f"is {name!r}, as in row {ids[name]}", "give every phrase its own id")
        if record.get("role") not in get_args(Role):
            yield problem(row, "role", f"is {record.get('role')!r}", f"write one of {', '.join(get_args(Role))}")
        if not isinstance(record.get("measure"), bool):
            yield problem(row, "measure", "is not true or false", "say whether the phrase is measured")
        tags = record.get("tags")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            yield problem(row, "tags", "is no list of texts", "write a list, [] if there are none")
        yield from _slips(row, record, "id", "eval_phrase")


def published(rows: Sequence[Row]) -> Iterator[Finding]:
    """`{prompt, modifier, eval_prompt, edit_pair, exclude_eval}`; the modifier "" is the control, of which a set has one."""
    controls = 0
    for row, record in rows:
        for name, empty in (("prompt", False), ("modifier", True), ("eval_prompt", False)):
            if found := text_problem(record, row, name, empty):
                yield found
        controls += record.get("modifier") == ""
        for name, allowed in _FLAGS.items():
            if record.get(name, allowed[1]) not in allowed:
                values = " or ".join("null" if value is None else str(value).lower() for value in allowed)
                yield problem(row, name, f"is {record[name]!r}", f"write {values}")
        yield from _slips(row, record, "modifier", "eval_prompt")
    if controls != 1:
        yield problem(None, "modifier", f'{controls} controls (modifier "")', "a set has exactly one")
    yield from _alike(rows)


def _slips(row: int, record: Any, word: str, verb_phrase: str) -> Iterator[Finding]:
    for name in (word, verb_phrase):
        if isinstance(record.get(name), str) and TRIPLED.search(record[name]):
            yield warning(row, name, f"{record[name]!r} looks misspelt", "check its letters")
    if isinstance(record.get(verb_phrase), str) and DOUBLED_VERB.match(record[verb_phrase]):
        yield warning(row, verb_phrase, f"{record[verb_phrase]!r} has two verbs", "leave out 'is more' or the other verb")


def _alike(rows: Sequence[Row]) -> Iterator[Finding]:
    """Neighbours in the alphabet that differ by a doubled letter only: one of them is a slip."""
    words = sorted((str(record.get("modifier", "")), row) for row, record in rows)
    for (earlier, at), (later, row) in pairwise(words):
        if earlier != later and _single(earlier) == _single(later) and len(earlier) > 3:
            yield warning(row, "modifier", f"{later!r} is spelt {earlier!r} in row {at}", "one of them is misspelt")


def _single(word: str) -> str:
    return re.sub(r"(.)\1+", r"\1", word)
