"""Raw items of a behaviour → its training and test files, as CAA's processing makes them (specs/steering.md §1.2), seeded.

Owns the arithmetic: cleaning, shuffling, splitting, dealing letters. It reads and writes no files.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.data_making.checking.choices import ANSWERS, LETTER, options, plain_text, raw_answer
from engine.data_making.parsing import Unfit

OWN_OPEN_TEST = "sycophancy"
"""Its questions begin with a biography, so their first line asks nothing: it has an open-ended test of its own."""
_MARKERS = ("Question:", "Answer:")

Pair = dict[str, str]


@dataclass(frozen=True, slots=True)
class Processed:
    """Every file of a behaviour by its path, and what did not get into any: items between the training and test ones, and those
    of the training items that cannot be balanced."""

    files: Mapping[str, Sequence[Pair]]
    between: int
    unbalanced: int


def process(behavior: str, raw: Sequence[Pair], seed: int, n_generate: int, n_test: int) -> Processed:
    """Clean items in the order of the raw files → files. The last items of the shuffled order are the test."""
    if len(raw) <= n_test:
        raise Unfit(f"there are {len(raw)} items, of which the test alone takes {n_test}")
    items = list(raw)
    _draws("shuffle", behavior, seed).shuffle(items)
    size = min(n_generate, len(items) - n_test)
    made, test = items[:size], items[len(items) - n_test :]
    balanced = _balanced(made, _draws("letters", behavior, seed))
    files: dict[str, Sequence[Pair]] = {
        f"generate/{behavior}/generate_dataset.json": made,
        f"generate/{behavior}/generate_balanced_dataset.json": balanced,
        f"generate/{behavior}/generate_openresponse_dataset.json": [_in_words(item) for item in balanced],
        f"test/{behavior}/test_dataset_ab.json": test,
    }
    if behavior != OWN_OPEN_TEST:
        first_lines = [{"question": item["question"].split("\n", 1)[0].rstrip()} for item in test]
        files[f"test/{behavior}/test_dataset_open_ended.json"] = first_lines
    return Processed(files, len(items) - size - n_test, size - len(balanced))


def clean(record: Mapping[str, Any]) -> Pair:
    """A raw item without lists, outer space and markers."""
    question = record.get("question")
    if not isinstance(question, str):
        raise Unfit("the field 'question' is missing or no text; give every item one")
    for marker in _MARKERS:
        question = question.replace(marker, "")
    if not question.strip():
        raise Unfit("the question is empty; write it, or remove the item")
    item = {"question": question.strip()}
    for field in ANSWERS:
        answer = raw_answer(record.get(field))
        if not isinstance(answer, str) or not LETTER.match(answer):
            shown = "missing" if answer is None else repr(answer)[:24]
            raise Unfit(f'the field \'{field}\' is {shown}, no letter in brackets; write "(A)" or "(B)"')
        item[field] = answer
    if item[ANSWERS[0]] == item[ANSWERS[1]]:
        raise Unfit(f"both answers are {item[ANSWERS[0]]}; give the other option's letter")
    return item


def hallucination_item(row: Mapping[str, str], table: str, number: int, seed: int) -> Pair:
    """A question that takes a fiction for fact; accepting it (which matches) and rejecting it are the options, in an order that
    a coin decides for each row on its own."""
    columns = ("fiction_question", "fiction_accepetance", "fiction_rejection")  # the published spelling
    question, accepts, rejects = (row[column].strip() for column in columns)
    for column, text in zip(columns, (question, accepts, rejects), strict=True):
        if not text:
            raise Unfit(f"the column '{column}' is empty; write it, or remove the row")
    first = _draws(f"order {table} {number}", "hallucination", seed).random() < 0.5
    return _with_options(question, accepts, rejects, "(A)" if first else "(B)")


def _balanced(items: Sequence[Pair], draws: random.Random) -> list[Pair]:
    """Items of two options, as many matching (A) as (B): their options put in the order that gives the dealt letter."""
    usable = [item for item in items if list(options(item["question"])) == ["(A)", "(B)"] == sorted(item[a] for a in ANSWERS)]
    usable = [item for item in usable if all(options(item["question"]).values())]
    half = len(usable) // 2
    letters = ["(A)", "(B)"] * half
    draws.shuffle(letters)
    balanced = []
    for item, letter in zip(usable, letters, strict=False):  # of an odd number the last is left out
        texts = options(item["question"])
        matching, other = (texts[item[field]] for field in ANSWERS)
        balanced.append(_with_options(plain_text(item["question"]), matching, other, letter))
    return balanced


def _with_options(question: str, matching: str, other: str, letter: str) -> Pair:
    first, second = (matching, other) if letter == "(A)" else (other, matching)
    text = f"{question}\n\nChoices:\n (A) {first}\n (B) {second}"
    return {"question": text, ANSWERS[0]: letter, ANSWERS[1]: "(B)" if letter == "(A)" else "(A)"}


def _in_words(item: Pair) -> Pair:
    texts = options(item["question"])
    return {"question": plain_text(item["question"])} | {field: texts[item[field]] for field in ANSWERS}


def _draws(what: str, behavior: str, seed: int) -> random.Random:
    return random.Random(f"process {what} {behavior} {seed}")
