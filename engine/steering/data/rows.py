"""Records of a data file, checked: every fault is one sentence with file, record and mend. Records count from 0.

The syntax of files (encodings, JSON, tables) is read where `tiller data check` reads it, so both say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from engine.data_making.checking.reading import read_rows
from engine.errors import InputError
from engine.progress import notice

Row = tuple[int, dict[str, Any]]


def read_records(path: Path, columns: Sequence[str] = ()) -> list[Row]:
    """(number, record) of every record; `columns` must be in a table's heading."""
    rows = read_rows(path)
    for finding in rows.findings:
        place = f"record {finding.row}" if finding.row is not None else finding.field
        raise InputError(f"{path}, {place}: {finding.what}; {finding.mend}.")
    for row, record in rows.records:
        if not isinstance(record, dict):
            raise InputError(f"{path}, record {row}: is no object with fields; write it as the others are.")
    missing = [column for column in columns if column not in rows.records[0][1]]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; its heading must have {', '.join(columns)}.")
    return list(rows.records)


def text_of(record: dict[str, Any], field: str, path: Path, row: int) -> str:
    """A field that must be a text with something in it."""
    value = record.get(field)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}, record {row}: the field '{field}' is missing or no text; give every record one.")
    return value


def letter_of(record: dict[str, Any], field: str, path: Path, row: int) -> str:
    """The letter of a field such as "(A)"."""
    value = text_of(record, field, path, row).strip()
    if len(value) != 3 or value[0] + value[2] != "()" or not "A" <= value[1] <= "Z":
        mend = 'write "(A)" or "(B)"'
        raise InputError(f"{path}, record {row}: the field '{field}' is {value[:24]!r}, no letter in brackets; {mend}.")
    return value[1]


@cache
def tell_once(message: str) -> None:
    """A notice; steps that read the same file again do not repeat it."""
    notice(message)
