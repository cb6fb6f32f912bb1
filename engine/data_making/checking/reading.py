"""A file → its rows, whatever it holds: JSON lists, JSON lines, CSV tables, texts a line each.

Owns the syntax of files; what rows must hold is `forms.py`'s business.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.data_making.checking.findings import Finding, problem
from engine.errors import InputError

SUFFIXES = (".json", ".jsonl", ".csv", ".txt")


@dataclass(frozen=True, slots=True)
class Rows:
    """`records` by row number, and what could not be read of single rows. `table`: they come from a CSV file."""

    records: tuple[tuple[int, Any], ...]
    findings: tuple[Finding, ...] = field(default=())
    table: bool = False


def read_rows(path: Path) -> Rows:
    """The rows of a file; a file that cannot be read at all is one sentence."""
    if not path.exists():
        raise InputError(f"{path} does not exist; check its name.")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} is no data file that tiller knows; it reads {', '.join(SUFFIXES)}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its name and permissions.") from error
    if not text.strip():
        raise InputError(f"{path} is empty; remove it or fill it.")
    if path.suffix.lower() == ".txt":
        return Rows(tuple((row, line) for row, line in enumerate(text.splitlines()) if line.strip()))
    reader = {".json": _json, ".jsonl": _json_lines, ".csv": _table}[path.suffix.lower()]
    return reader(path, text)


def _json(path: Path, text: str) -> Rows:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); mend that place.") from error
    if not isinstance(value, list) or not value:
        raise InputError(f"{path} holds no list of records; it must be a JSON list with at least one.")
    return Rows(tuple(enumerate(value)))


def _json_lines(path: Path, text: str) -> Rows:
    records, findings = [], []
    for row, line in enumerate(text.splitlines()):
        if not line.strip():
            continue
        try:
            records.append((row, json.loads(line)))
        except ValueError as error:
            findings.append(problem(row, "line", f"is not JSON ({error})", "write one JSON object on each line"))
    if not records:
        raise InputError(f"{path} has no line that is JSON; it must have an object on each line.")
    return Rows(tuple(records), tuple(findings))


def _table(path: Path, text: str) -> Rows:
    records, findings = [], []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader)
        for row, cells in enumerate(cells for cells in reader if cells):
            if len(cells) == len(header):
                records.append((row, dict(zip(header, cells, strict=True))))
            else:
                cause = f"has {len(cells)} cells under {len(header)} headings"
                findings.append(problem(row, "row", cause, "put texts that hold commas in double quotes"))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV table (line {reader.line_num}: {error}); mend that line.") from error
    if not records:
        raise InputError(f"{path} has no row below its header that fits it; check its commas and quotes.")
    return Rows(tuple(records), tuple(findings), table=True)
