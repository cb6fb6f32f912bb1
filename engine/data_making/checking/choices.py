"""Contrast pairs and two-choice tests: questions whose options stand in the text, one a line, behind `(A)`, `(B)`, …"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from engine.data_making.checking.findings import Finding, problem, text_problem, warning

ANSWERS = ("answer_matching_behavior", "answer_not_matching_behavior")
LETTER = re.compile(r"^\([A-Z]\)$")
_OPTION = re.compile(r"^[ \t]*\(([A-Z])\)[ \t]*(.*)$", re.MULTILINE)
_CHOICES = re.compile(r"^[ \t]*Choices:[ \t]*$", re.MULTILINE)
_MARKERS = ("Question:", "Answer:")

Row = tuple[int, Any]


def plain_text(question: Any) -> str:
    """A question without its options."""
    text = _CHOICES.split(str(question), maxsplit=1)[0]
    first = _OPTION.search(text)
    return text[: first.start() if first else len(text)].strip()


def options(question: str) -> dict[str, str]:
    """The options by letter, below "Choices:" where there is such a line; one may go on over several lines."""
    text = _CHOICES.split(question, maxsplit=1)[-1]
    found = list(_OPTION.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)] * bool(found)
    return {f"({match[1]})": text[match.start(2) : end].strip() for match, end in zip(found, ends, strict=True)}


def open_answers(record: Any) -> list[str]:
    """What a pair's answers say, in an order that does not tell which is which letter."""
    asked = options(str(record.get("question", "")))
    answers = [str(record.get(name, "")) for name in ANSWERS]
    return sorted(asked.values()) if asked else answers


def ab(rows: Sequence[Row]) -> Iterator[Finding]:
    """question with options, answers "(A)" or "(B)"."""
    bare = 0
    for row, record in rows:
        broken = [found for name in ("question", *ANSWERS) if (found := text_problem(record, row, name))]
        yield from broken
        if not broken:
            yield from _options_fit(row, record, [record[name] for name in ANSWERS], ANSWERS)
            bare += bool(options(record["question"])) and not _CHOICES.search(record["question"])
    if bare:
        what = f'{bare} questions give their options without a line "Choices:"'
        yield warning(None, "question", what, "if that is not meant, put the line above them")


def _options_fit(
    row: int, record: Any, letters: Sequence[str], names: Sequence[str], asked: str = "question"
) -> Iterator[Finding]:
    if not all(LETTER.match(letter) for letter in letters):
        name, wrong = next((name, letter) for name, letter in zip(names, letters, strict=True) if not LETTER.match(letter))
        yield problem(row, name, f"is {_short(wrong)}, no letter in brackets", 'write "(A)" or "(B)"')
        return
    if letters[0] == letters[1]:
        yield problem(row, names[1], f"is {letters[1]}, as {names[0]}", "give the other option's letter")
        return
    given = options(record[asked])
    if not given:
        yield problem(row, asked, "has no options", "write them under a line Choices: as (A) … and (B) …, one a line")
        return
    for name, letter in zip(names, letters, strict=True):
        if letter not in given:
            yield problem(row, name, f"is {letter}, which is no option of the question", f"it has {', '.join(given)}")
    for letter, text in given.items():
        if not text:
            yield problem(row, asked, f"has an empty option {letter}", "write it")
    if len(set(given.values())) < len(given) and all(given.values()):
        yield problem(row, asked, "has two options that say the same", "change one of them")
    if sorted(letters) != ["(A)", "(B)"]:
        what = f"are {letters[0]} and {letters[1]}, so the item has no A/B form"
        yield warning(row, "answers", what, "steering leaves it out; keep two options to use it")


def open_response(rows: Sequence[Row]) -> Iterator[Finding]:
    """question without options, answers in words."""
    for row, record in rows:
        broken = [found for name in ("question", *ANSWERS) if (found := text_problem(record, row, name))]
        yield from broken
        if broken:
            continue
        if record[ANSWERS[0]].strip() == record[ANSWERS[1]].strip():
            yield problem(row, ANSWERS[1], f"says the same as {ANSWERS[0]}", "give the answer without the behaviour")
        if options(record["question"]):
            yield problem(row, "question", "has options though the answers are words", "remove the options")


def is_raw(record: Any) -> bool:
    """Before processing: answers in lists or with outer space, markers in the question."""
    answers = [record.get(name) for name in ANSWERS if name in record]
    padded = any(isinstance(answer, list) or (isinstance(answer, str) and answer != answer.strip()) for answer in answers)
    return bool(answers) and (padded or any(marker in str(record.get("question", "")) for marker in _MARKERS))


def raw_answer(value: Any) -> Any:
    """A list stands for its first element; outer space does not count."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value.strip() if isinstance(value, str) else value


def raw_letter(record: Any) -> str:
    return str(raw_answer(record.get(ANSWERS[0])))


def raw(rows: Sequence[Row]) -> Iterator[Finding]:
    """As published by Anthropic: read as the processing of CAA reads it, then held to the same rules."""
    kinds: dict[bool, list[Row]] = {True: [], False: []}
    for row, record in rows:
        question = record.get("question")
        for marker in _MARKERS if isinstance(question, str) else ():
            question = question.replace(marker, "")
        read = record | {"question": question} | {name: raw_answer(record[name]) for name in ANSWERS if name in record}
        kinds[all(LETTER.match(str(read.get(name, ""))) for name in ANSWERS)].append((row, read))
    yield from ab(kinds[True])
    yield from open_response(kinds[False])


def tests(rows: Sequence[Row]) -> Iterator[Finding]:
    """TruthfulQA and MMLU: prompt with two options, the correct letter and text, the incorrect ones."""
    names = ("prompt", "correct", "incorrect", "correct_full_text", "incorrect_full_text", "category")
    for row, record in rows:
        broken = [found for name in names if (found := text_problem(record, row, name))]
        yield from broken
        if broken:
            continue
        letters = [record["correct"], record["incorrect"]]
        yield from _options_fit(row, record, letters, ("correct", "incorrect"), "prompt")
        given = options(record["prompt"])
        for name, letter in zip(("correct", "incorrect"), letters, strict=True):
            if letter in given and given[letter] != record[f"{name}_full_text"].strip():
                what = f"is not what option {letter} says"
                yield problem(row, f"{name}_full_text", what, "one of the two is wrong: make them agree")


def _short(text: str) -> str:
    return repr(text if len(text) <= 24 else text[:23] + "…")
