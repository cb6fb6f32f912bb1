"""Contrast pairs: a question with an answer that shows the behaviour and one that does not, and their files.

Owns what makes such an item fit, the A/B form with letters in balance, and the layout that `tiller steer --dataset` reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.data_making.parsing import Unfit, text_field
from engine.data_making.splits import Letter, Split, letters

_QUESTION = (8, 600)
_ANSWER = {"ab": (1, 300), "open": (10, 1500)}
_LETTER = re.compile(r"\([A-H]\)|^[A-H][).:]\s|\b(?:option|answer|choice)\s+[A-H]\b", re.IGNORECASE)
_EACH_OTHER = re.compile(r"\b(?:all|none|both|neither) of the (?:above|below|other|two|answers|options)\b", re.IGNORECASE)

FIELDS = {name: {"type": "string"} for name in ("question", "matching", "not_matching")}


@dataclass(frozen=True, slots=True)
class Contrast:
    question: str
    matching: str
    not_matching: str


def read(record: Any, form: str) -> Contrast:
    """One record of a reply as an item, or the reason why it is none."""
    question = text_field(record, "question", *_QUESTION)
    matching, not_matching = (text_field(record, name, *_ANSWER[form]) for name in ("matching", "not_matching"))
    if matching.casefold().rstrip(".!") == not_matching.casefold().rstrip(".!"):
        raise Unfit("answers are the same")
    if "choices:" in question.casefold() or any(map(_LETTER.search, (question, matching, not_matching))):
        raise Unfit("letter in the text")
    if any(map(_EACH_OTHER.search, (matching, not_matching))):
        raise Unfit("answer refers to the other")
    return Contrast(question, matching, not_matching)


def ab_record(item: Contrast, letter: Letter) -> dict[str, str]:
    """The published A/B form; the option that shows the behaviour stands at `letter`."""
    a, b = (item.matching, item.not_matching) if letter == "A" else (item.not_matching, item.matching)
    return {
        "question": f"{item.question}\n\nChoices:\n (A) {a}\n (B) {b}",
        "answer_matching_behavior": f"({letter})",
        "answer_not_matching_behavior": f"({'B' if letter == 'A' else 'A'})",
    }


def open_record(item: Contrast) -> dict[str, str]:
    return {
        "question": item.question,
        "answer_matching_behavior": item.matching,
        "answer_not_matching_behavior": item.not_matching,
    }


def files(behavior: str, parts: Mapping[Split, Sequence[Contrast]], seed: int) -> dict[str, list[dict[str, str]]]:
    """Path in the data set → records. Validation items end the generate files: that is where `--hold-out` takes them."""
    train, validation, test = parts["train"], parts["validation"], parts["test"]
    train_letters = letters("train", seed, len(train))
    odd_one: Letter | None = None
    if len(train) % 2:
        odd_one = "B" if train_letters[-1] == "A" else "A"  # two odd ones out balance each other
    generate_letters = train_letters + letters("validation", seed, len(validation), odd_one)
    pairs = list(zip([*train, *validation], generate_letters, strict=True))
    records = [ab_record(item, letter) for item, letter in pairs]
    unpaired = len(train) - 1 if len(train) % 2 else len(pairs) - 1
    balanced = records if len(records) % 2 == 0 else [record for i, record in enumerate(records) if i != unpaired]
    return {
        f"generate/{behavior}/generate_dataset.json": records,
        f"generate/{behavior}/generate_balanced_dataset.json": balanced,
        f"generate/{behavior}/generate_openresponse_dataset.json": [open_record(item) for item, _ in pairs],
        f"test/{behavior}/test_dataset_ab.json": [
            ab_record(item, letter) for item, letter in zip(test, letters("test", seed, len(test)), strict=True)
        ],
        f"test/{behavior}/test_dataset_open_ended.json": [{"question": item.question} for item in test],
    }
