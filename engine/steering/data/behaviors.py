"""A behaviour's own files: two-choice questions whose answers match the behaviour or not, and open questions (§1.1).

Owns reading them, and the contrasts `ab`, `openr` and `open` made of them. Items that are held out to choose a layer on never
come into the vectors, whatever the contrast: neither do others that ask the same question.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from engine.data import ABItem, Contrast, Example, Message, Prompt
from engine.data_making.checking.choices import plain_text
from engine.data_making.duplicates import normalised
from engine.errors import InputError
from engine.steering.data.questions import Questions
from engine.steering.data.rows import letter_of, read_records, tell_once, text_of

PairKind = Literal["ab", "openr", "open"]
PAIRS, OPEN_PAIRS = "generate_dataset.json", "generate_openresponse_dataset.json"
TEST_ITEMS, TEST_PROMPTS = "test_dataset_ab.json", "test_dataset_open_ended.json"
_ANSWERS = ("answer_matching_behavior", "answer_not_matching_behavior")


def contrast(folder: Path, kind: PairKind, hold_out: int) -> tuple[Contrast, tuple[ABItem, ...]]:
    """The contrast from a folder of generate/, and the items held out of it."""
    items = ab_items(folder / PAIRS)
    held_out = _last(items, hold_out)
    asked = {_question(item) for item in held_out}
    if kind == "ab":
        rest = [item for item in items[: len(items) - len(held_out)] if _question(item) not in asked]
        if not rest:
            raise InputError(f"{folder / PAIRS}: all questions are among the held-out ones; give a lower --hold-out.")
        return _letters(rest), held_out
    return _answers(folder / OPEN_PAIRS, kind, asked), held_out


def held_out(folder: Path, count: int) -> tuple[ABItem, ...]:
    return _last(ab_items(folder / PAIRS), count)


def questions(folder: Path) -> Questions:
    """What stands in a folder of test/."""
    return Questions(tuple(ab_items(folder / TEST_ITEMS)), open_prompts(folder))


def ab_items(path: Path) -> list[ABItem]:
    """A/B questions of one file. Items answered with another letter, as (C), have no A/B form: left out, and reported."""
    items, others = [], 0
    for row, record in read_records(path):
        question = text_of(record, "question", path, row)
        letters = [letter_of(record, field, path, row) for field in _ANSWERS]
        if letters[0] == letters[1]:
            raise InputError(f"{path}, record {row}: both answers are ({letters[0]}); give the other option's letter.")
        if set(letters) == {"A", "B"}:
            items.append(ABItem(f"{path.stem}-{row:04}", (Message("user", question),), cast(Literal["A", "B"], letters[0])))
        else:
            others += 1
    if others:
        tell_once(f"{path}: {others} of {others + len(items)} items are not answered (A) or (B) and were left out")
    if not items:
        raise InputError(f"{path} has no A/B items; it needs records whose two answers are (A) and (B).")
    return items


def open_prompts(folder: Path) -> tuple[Prompt, ...]:
    """The open questions of a folder of test/, none where it has no such file."""
    path = folder / TEST_PROMPTS
    if not path.is_file():
        return ()
    texts = (text_of(record, "question", path, row) for row, record in read_records(path))
    return tuple(Prompt(f"{path.stem}-{row:04}", (Message("user", text),)) for row, text in enumerate(texts))


def _last(items: Sequence[ABItem], count: int) -> tuple[ABItem, ...]:
    """At least one item is left for the vectors."""
    return tuple(items[len(items) - min(count, len(items) - 1) :])


def _question(item: ABItem) -> str:
    return normalised(plain_text(item.chat[0].content))


def _letters(items: Sequence[ABItem]) -> Contrast:
    """Every question with either letter, read at the letter (CAA §1.5)."""
    sides: dict[str, list[Example]] = {"positive": [], "negative": []}
    for item in items:
        other = "B" if item.matching == "A" else "A"
        for side, letter in (("positive", item.matching), ("negative", other)):
            sides[side].append(Example(item.id, (*item.chat, Message("assistant", f"({letter}")), item))
    return Contrast({side: tuple(examples) for side, examples in sides.items()}, "positive")


def _answers(path: Path, kind: PairKind, held_out: set[str]) -> Contrast:
    """Every question with either answer in words. `openr` is the published form, which lacks each answer's last character."""
    if not path.is_file():
        raise InputError(
            f"{path} does not exist, and the contrast '{kind}' needs its answers in words; put it there "
            "(`tiller data process` makes it from raw items), or use --contrast ab."
        )
    sides: dict[str, list[Example]] = {"positive": [], "negative": []}
    for row, record in read_records(path):
        question = text_of(record, "question", path, row)
        answers = [text_of(record, field, path, row) for field in _ANSWERS]
        if normalised(plain_text(question)) in held_out:
            continue
        for side, answer in zip(sides, answers, strict=True):
            text = answer[:-1] if kind == "openr" else answer
            chat = (Message("user", question), Message("assistant", text))
            sides[side].append(Example(f"{path.stem}-{row:04}", chat))
    if not sides["positive"]:
        raise InputError(f"{path}: all questions are among the held-out A/B items; give a lower --hold-out.")
    return Contrast({side: tuple(examples) for side, examples in sides.items()}, "positive")
