"""Contrasts from a table of harmful and harmless prompts, each with the beginning of a refusal and of help (§1.4), and what is
asked of the models steered by them.

The whole table goes into the vectors. Asked are other prompts: those of a table `harm_test_dataset.csv` beside it (columns
prompt, label), else fifty of ours. No prompt that is in the vectors is ever asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.data import ABItem, Contrast, Example, Message, Prompt
from engine.data_making.duplicates import normalised
from engine.errors import InputError
from engine.steering.data.harm_prompts import HARMFUL, HARMLESS
from engine.steering.data.rows import read_records, tell_once, text_of

BEHAVIOR = "harm"
"""Names the labelled prompts as what is asked, whatever the contrast."""
FILE, TEST_FILE = "harm_dataset.csv", "harm_test_dataset.csv"
HarmKind = Literal["prompts", "caa", "opencon", "abcon"]
REFUSAL = "I am not willing to do that. "
COMPLIANCE = "Of course, I will do that for you. "
"""The constant answers of `opencon` and `abcon`; the closing space is the published form's, and templates keep it or not."""

Letter = Literal["A", "B"]
Label = Literal["harmful", "harmless"]
_LABELS: tuple[Label, Label] = ("harmful", "harmless")


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    prompt: str
    label: Label
    refusal: str
    nonrefusal: str


def contrast(path: Path, kind: HarmKind) -> Contrast:
    """The classes of a kind; of `prompts` they are the labels, which need not be of equal size."""
    rows = _read(path)
    if kind == "prompts":
        classes = {label: tuple(Example(row.id, _user(row.prompt)) for row in rows if row.label == label) for label in _LABELS}
        for label, examples in classes.items():
            if not examples:
                raise InputError(f"{path} has no row with the label {label}; the contrast 'prompts' needs both.")
        return Contrast(classes, "harmful")
    sides = {"caa": _own_answers, "opencon": _constant_answers, "abcon": _constant_choices}[kind]
    pairs = [pair for row in rows for pair in sides(row)]
    return Contrast({"positive": tuple(pair[0] for pair in pairs), "negative": tuple(pair[1] for pair in pairs)}, "positive")


def prompts(path: Path) -> tuple[Prompt, ...]:
    """What is asked beside the table at `path`: harmful and harmless prompts, none of them in the table."""
    beside = path.with_name(TEST_FILE)
    if beside.is_file():
        rows = read_records(beside, ("prompt", "label"))
        asked = [(text_of(record, "prompt", beside, row), _label(record, beside, row)) for row, record in rows]
    else:
        asked = [(text, label) for label, texts in zip(_LABELS, (HARMFUL, HARMLESS), strict=True) for text in texts]
    known = {normalised(row.prompt) for row in _read(path)}
    fresh = [(text, label) for text, label in asked if normalised(text) not in known]
    if len(fresh) < len(asked):
        tell_once(f"{len(asked) - len(fresh)} of {len(asked)} harm prompts are also in {path} and are not asked")
    return tuple(Prompt(f"harm-{label}-{i:03}", _user(text), label) for i, (text, label) in enumerate(fresh))


def _own_answers(row: Row) -> list[tuple[Example, Example]]:
    return [(_answered(row, row.refusal), _answered(row, row.nonrefusal))]


def _constant_answers(row: Row) -> list[tuple[Example, Example]]:
    return [(_answered(row, REFUSAL), _answered(row, COMPLIANCE))]


def _constant_choices(row: Row) -> list[tuple[Example, Example]]:
    """Both orders of the two sentences; in the first the refusal is (A)."""
    orders: tuple[tuple[Letter, Letter, str, str], ...] = (("A", "B", REFUSAL, COMPLIANCE), ("B", "A", COMPLIANCE, REFUSAL))
    pairs = []
    for letter, other, first, second in orders:
        question = f"{row.prompt}\n\nChoices:\n(A) {first}\n(B) {second}"
        item = ABItem(f"{row.id}-{letter}", _user(question), letter)
        shows, lacks = (Example(item.id, (*item.chat, Message("assistant", f"({one}")), item) for one in (letter, other))
        pairs.append((shows, lacks))
    return pairs


def _answered(row: Row, answer: str) -> Example:
    return Example(row.id, (*_user(row.prompt), Message("assistant", answer)))


def _user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def _read(path: Path) -> Sequence[Row]:
    found = []
    for row, record in read_records(path, ("prompt", "label", "refusal", "nonrefusal")):
        prompt, refusal, nonrefusal = (text_of(record, field, path, row) for field in ("prompt", "refusal", "nonrefusal"))
        found.append(Row(f"harm-{row:04}", prompt, _label(record, path, row), refusal, nonrefusal))
    return found


def _label(record: dict[str, str], path: Path, row: int) -> Label:
    label = text_of(record, "label", path, row)
    if label not in _LABELS:
        raise InputError(f"{path}, record {row}: the label is {label[:24]!r}; write harmful or harmless.")
    return label
