"""The forms of data that the methods and their published predecessors use (specs/steering.md §1, specs/ted.md §2), as a table.

Owns recognising a form by the fields of most rows; what each form asks of a row is in the modules the table names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.data_making.checking import choices, phrase_records, tables
from engine.data_making.checking.findings import Finding, problem, text_problem, warning
from engine.data_making.checking.reading import Rows
from engine.data_making.duplicates import normalised

Row = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """`fields`: a row with any of them is taken for this form. `check` says what is wrong with rows that are objects.

    `text` is what the row says, by which duplicates are found; `letter` is its A/B answer where it has one.
    """

    name: str
    fields: tuple[str, ...]
    check: Callable[[Sequence[Row]], Iterator[Finding]]
    text: Callable[[Any], str]
    letter: Callable[[Any], str] | None = None


def _field(name: str) -> Callable[[Any], str]:
    return lambda record: str(record.get(name, ""))


def _open_ended(rows: Sequence[Row]) -> Iterator[Finding]:
    for row, record in rows:
        if found := text_problem(record, row, "question"):
            yield found


def _classes(rows: Sequence[Row]) -> Iterator[Finding]:
    for row, record in rows:
        names = ("class", "question", *(["answer"] if "answer" in record else []))
        yield from (found for name in names if (found := text_problem(record, row, name)))
    classes = {record["class"] for _, record in rows if isinstance(record.get("class"), str)}
    if len(classes) == 1:
        yield problem(None, "class", f"is always {classes.pop()!r}", "a contrast needs another class")


def _class_text(record: Any) -> str:
    return " ".join(str(record.get(name, "")) for name in ("class", "question", "answer"))


def _query_texts(rows: Sequence[Row]) -> Iterator[Finding]:
    for row, text in rows:
        if not text.strip():
            yield problem(row, "query", "is empty", "write it, or remove it")


def _contrast_text(record: Any) -> str:
    return " ".join([choices.plain_text(record.get("question", "")), *choices.open_answers(record)])


OBJECTS: tuple[Form, ...] = (
    Form("phrases", ("instruction", "eval_phrase"), phrase_records.ours, _field("id")),
    Form("TED phrases", ("modifier", "eval_prompt"), phrase_records.published, _field("modifier")),
    Form("two-choice test", ("correct", "incorrect", "correct_full_text"), choices.tests, _field("prompt"), _field("correct")),
    Form("labelled classes", ("class",), _classes, _class_text),
)
RAW = Form("raw contrast pairs", choices.ANSWERS, choices.raw, _contrast_text, choices.raw_letter)
AB = Form("A/B contrast pairs", choices.ANSWERS, choices.ab, _contrast_text, _field("answer_matching_behavior"))
OPEN_RESPONSE = Form("open-response pairs", choices.ANSWERS, choices.open_response, _contrast_text)
OPEN_ENDED = Form("open-ended questions", ("question",), _open_ended, _field("question"))
TABLES: tuple[Form, ...] = (
    Form("harmful and harmless prompts", tables.HARM, tables.harm, _field("prompt")),
    Form("hallucination table", tables.HALLUCINATION, tables.hallucination, _field("fiction_question")),
)
TEXTS = Form("queries", (), _query_texts, str)
LETTERS = ("(A)", "(B)")


def recognise(rows: Rows) -> Form | None:
    """The form that most rows have fields of; None where no form has any."""
    objects = [record for _, record in rows.records if isinstance(record, dict)]
    if sum(isinstance(record, str) for _, record in rows.records) > len(objects):
        return TEXTS
    candidates = TABLES if rows.table else (*OBJECTS, _contrast_form(objects), OPEN_ENDED)
    fits = [sum(any(name in record for name in form.fields) for record in objects) for form in candidates]
    best = max(range(len(candidates)), key=lambda place: (fits[place], -place))
    return candidates[best] if fits[best] else None


def _contrast_form(objects: Sequence[dict[str, Any]]) -> Form:
    if any(choices.is_raw(record) for record in objects):
        return RAW
    lettered = sum(choices.LETTER.match(str(record.get("answer_matching_behavior", ""))) is not None for record in objects)
    return AB if 2 * lettered > len(objects) else OPEN_RESPONSE


def fitting(form: Form, rows: Rows) -> list[Row]:
    """The rows that are what the form's rows are: texts, or objects."""
    kind = str if form is TEXTS else dict
    return [(row, record) for row, record in rows.records if isinstance(record, kind)]


def findings_of(form: Form, rows: Rows) -> list[Finding]:
    """Everything to say about the rows, problems and warnings, in the order of rows."""
    known = fitting(form, rows)
    found = [*rows.findings, *form.check(known), *_repeated(form, known), *_uneven(form, known)]
    others = {row for row, _ in rows.records} - {row for row, _ in known}
    wanted = "a text" if form is TEXTS else "an object"
    found += [problem(row, "record", f"is not {wanted} like the others", "write it as one, or remove it") for row in others]
    return sorted(found, key=lambda finding: (finding.row is None, finding.row or 0))


def repeats(form: Form, rows: Sequence[Row]) -> list[tuple[int, int]]:
    """(row, the earlier row that says the same)."""
    first: dict[str, int] = {}
    found = []
    for row, record in rows:
        text = normalised(form.text(record))
        if text and first.setdefault(text, row) != row:
            found.append((row, first[text]))
    return found


def letter_counts(form: Form, rows: Sequence[Row]) -> tuple[int, int, int] | None:
    """How often the answer is (A), (B), another letter."""
    if form.letter is None:
        return None
    letters = [form.letter(record).strip() for _, record in rows]
    a, b = (letters.count(letter) for letter in LETTERS)
    return a, b, len(letters) - a - b


def _repeated(form: Form, rows: Sequence[Row]) -> Iterator[Finding]:
    field = form.fields[0] if form.fields and form.fields[0] in ("modifier", "question") else "record"
    for row, earlier in repeats(form, rows):
        yield warning(row, field, f"says the same as row {earlier}", "remove one of them")


def _uneven(form: Form, rows: Sequence[Row]) -> Iterator[Finding]:
    """More than two standard deviations of a fair coin: a model that always says one letter would look good."""
    counts = letter_counts(form, rows)
    if counts and abs(counts[0] - counts[1]) > 2 * (counts[0] + counts[1]) ** 0.5:
        what = f"(A) {counts[0]} times, (B) {counts[1]} times"
        yield warning(None, "answers", f"letters are out of balance: {what}", "swap the options of some items")
