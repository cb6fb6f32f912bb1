"""One thing to say about one place in a data file. Rows count from 0, as in the ids of items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["problem", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`row` None: it concerns the whole file. A problem makes the file unfit; a warning is worth knowing."""

    level: Level
    row: int | None
    field: str
    what: str
    mend: str

    def line(self, path: str) -> str:
        place = path if self.row is None else f"{path}:{self.row}"
        return f"{place}: {self.field}: {self.what}; {self.mend}"


def problem(row: int | None, field: str, what: str, mend: str) -> Finding:
    return Finding("problem", row, field, what, mend)


def warning(row: int | None, field: str, what: str, mend: str) -> Finding:
    return Finding("warning", row, field, what, mend)


def text_problem(record: Any, row: int, field: str, empty: bool = False) -> Finding | None:
    """What is wrong with a field that must be a text, if anything is."""
    if field not in record:
        return problem(row, field, "is missing", "give every record one")
    value = record[field]
    if not isinstance(value, str):
        return problem(row, field, f"is {_kind(value)}, not a text", "put it in quotes")
    if not value.strip() and not empty:
        return problem(row, field, "is empty", "write it, or remove the record")
    return None


def _kind(value: Any) -> str:
    names = {"NoneType": "null", "bool": "true or false", "int": "a number", "float": "a number", "list": "a list"}
    return names.get(type(value).__name__, "an object")
