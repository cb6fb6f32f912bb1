"""TruthfulQA and MMLU as two-choice questions, which every behaviour of a data set is asked alike (§1.3).

An item's id is the hash of its content, so that measurements of it stay with it however the file is changed around it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, cast

from engine.data import ABItem, Message
from engine.errors import InputError
from engine.steering.data.rows import letter_of, read_records, tell_once, text_of

TRUTHFULQA = ("truthfulqa/truthful_qa.json",)
MMLU = ("mmlu/mmlu.json", "mmlu/mmlu_full.json")
"""The first that is there is read: the sample, else everything."""


def truthfulqa(root: Path) -> tuple[ABItem, ...]:
    return _first_of(root, TRUTHFULQA, "truthfulqa")


def mmlu(root: Path) -> tuple[ABItem, ...]:
    return _first_of(root, MMLU, "mmlu")


def _first_of(root: Path, names: tuple[str, ...], prefix: str) -> tuple[ABItem, ...]:
    paths = (root / "test" / name for name in names)
    return next((_items(path, prefix) for path in paths if path.is_file()), ())


def _items(path: Path, prefix: str) -> tuple[ABItem, ...]:
    records = read_records(path)
    items: dict[str, ABItem] = {}
    for row, record in records:
        prompt, category = (text_of(record, field, path, row) for field in ("prompt", "category"))
        letters = [letter_of(record, field, path, row) for field in ("correct", "incorrect")]
        if sorted(letters) != ["A", "B"]:
            given = " and ".join(f"({letter})" for letter in letters)
            raise InputError(f"{path}, record {row}: correct and incorrect are {given}; one must be (A), the other (B).")
        content = json.dumps([prompt, letters[0], category], ensure_ascii=False)
        name = f"{prefix}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        items[name] = ABItem(name, (Message("user", prompt),), cast(Literal["A", "B"], letters[0]), category=category)
    if len(items) < len(records):
        tell_once(f"{path}: {len(records) - len(items)} of {len(records)} items are there twice and are asked once")
    return tuple(items.values())
