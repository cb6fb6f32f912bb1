"""Data in CSV tables: harmful and harmless prompts with beginnings of answers, and the raw hallucination questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from engine.data_making.checking.findings import Finding, problem, text_problem, warning

HARM = ("prompt", "label", "refusal", "nonrefusal")
HALLUCINATION = (
    "truth", "fiction", "topic", "sub_topic", "truth_question", "fiction_question", "truth_accepetance", "truth_rejection",
    "fiction_accepetance", "fiction_rejection",
)  # fmt: skip
"""The spelling is the published one."""
_LABELS = ("harmful", "harmless")

Row = tuple[int, Any]


def harm(rows: Sequence[Row]) -> Iterator[Finding]:
    """With the beginnings of answers, which vectors are made of; or prompts and labels alone, which are asked."""
    answered = any(column in record for _, record in rows for column in HARM[2:])
    columns = HARM if answered else HARM[:2]
    missing = _missing_columns(rows, columns)
    yield from missing
    for row, record in rows:
        yield from _empty_cells(row, record, columns)
        if record.get("label", "harmful") not in _LABELS:
            yield problem(row, "label", f"is {record['label']!r}", f"write {' or '.join(_LABELS)}")
        if record.get("refusal", "") == record.get("nonrefusal", " "):
            yield problem(row, "nonrefusal", "says the same as refusal", "give the beginning of an answer that helps")
    counts = Counter(record.get("label") for _, record in rows)
    if not missing and counts[_LABELS[0]] != counts[_LABELS[1]]:
        what = f"{counts[_LABELS[0]]} harmful and {counts[_LABELS[1]]} harmless prompts"
        yield warning(None, "label", what, "give as many of either")


def hallucination(rows: Sequence[Row]) -> Iterator[Finding]:
    yield from _missing_columns(rows, HALLUCINATION)
    for row, record in rows:
        yield from _empty_cells(row, record, HALLUCINATION)


def _missing_columns(rows: Sequence[Row], columns: Sequence[str]) -> list[Finding]:
    header = rows[0][1] if rows else {}
    mend = f"the columns are {', '.join(columns)}"
    return [problem(None, column, "is no column of the table", mend) for column in columns if column not in header]


def _empty_cells(row: int, record: Any, columns: Sequence[str]) -> Iterator[Finding]:
    for column in columns:
        if column in record and (found := text_problem(record, row, column)):
            yield found
