"""Prompts out of files: lines, a table's column, a key of JSON records, in the forms that the published tools read and wrote.

Owns which text of a file is a prompt and where it stands, for messages. It knows neither settings nor models. What is ambiguous
is refused with what there is to choose from; the original asked on the terminal.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.printable import printable
from engine.progress import notice

TABLES = {".csv": ",", ".tsv": "\t"}
RECORDS = (".jsonl", ".json")
_USUAL = ("prompt", "prompts", "text", "texts", "prefix", "prefixes")  # in any case; `Text` is the divergence finder's
_SHOWN = 6  # columns, key sets: more of them make no sentence


@dataclass(frozen=True, slots=True)
class Found:
    """A prompt and its place, `file:line`."""

    text: str
    place: str


def read_file(name: str, column: str | None, keys: Sequence[str]) -> list[Found]:
    """Every prompt of a file or folder, in its order; none is blank. Raises InputError in one sentence with file and line."""
    path = Path(name).expanduser()
    suffix = path.suffix.lower()
    if not _is_there(path):
        raise InputError(f"There is no file of prompts {printable(name)}; check its name, or give texts with --prompt.")
    if path.is_dir():
        found = _records(_files(path), keys)
    elif suffix == ".txt":
        found = [Found(line, f"{path}:{row}") for row, line in enumerate(file_text(path).split("\n"), 1)]
    elif suffix in TABLES:
        found = _column(path, column)
    elif suffix in RECORDS:
        found = _records([path], keys)
    else:
        raise InputError(f"{path} is no file of prompts; give .txt, .csv, .tsv, .jsonl, .json or a folder of the last two.")
    if column is not None and suffix not in TABLES:
        raise InputError(f"--column is for tables, but {path} is none; leave it out (JSON records have --keys).")
    if keys and not (path.is_dir() or suffix in RECORDS):
        raise InputError(f"--keys is for JSON records, but {path} holds none; leave it out (tables have --column).")
    kept = [one for one in found if one.text.strip()]
    if not kept:
        raise InputError(f"{path} holds no prompts; fill it, or give another file.")
    if len(kept) < len(found) and suffix != ".txt":
        blank = next(one for one in found if not one.text.strip())
        notice(
            f"{len(found) - len(kept)} of {len(found)} records have a blank prompt and are left out, the first at {blank.place}"
        )
    return kept


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a text that is too long for a file's name
        return False


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in RECORDS and path.is_file())
    if not files:
        raise InputError(f"Folder {folder} has no .jsonl or .json file in it; give one that has, or a single file of prompts.")
    return files


def file_text(path: Path) -> str:
    """The whole file, its line ends as \\n."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its name and permissions.") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line} is not UTF-8 text (byte {content[error.start]:#04x}); save the file as UTF-8."
        ) from error
    if not text.strip():
        raise InputError(f"{path} is empty; fill it, or give another file.")
    return text.replace("\r\n", "\n")


def _column(path: Path, column: str | None) -> list[Found]:
    reader = csv.reader(io.StringIO(file_text(path), newline=""), delimiter=TABLES[path.suffix.lower()], strict=True)
    found: list[Found] = []
    try:
        header = next(row for row in reader if row)
        chosen, guessed = _chosen_column(path, header, column)
        begin = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                raise InputError(
                    f"{path}:{begin} has {len(cells)} cells under {len(header)} headings; put texts that hold the separator or "
                    "quotes into double quotes."
                )
            if cells:
                found.append(Found(cells[chosen], f"{path}:{begin}"))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num} is no row of a table ({error}); mend its quotes.") from error
    if guessed and found and all(_is_number(one.text) for one in found):
        raise InputError(
            f"Column {header[chosen]!r} of {path} holds numbers, not prompts; give --column, one of {listed(header)}."
        )
    return found


def _chosen_column(path: Path, header: Sequence[str], column: str | None) -> tuple[int, bool]:
    """A column by name, else by number; if none is named, the one that is usually called so, else the second as published.
    → its place, and whether it was guessed."""
    if column is not None:
        if header.count(column) > 1:
            raise InputError(f"{path} has several columns {column!r}; give --column a number from 1 to {len(header)}.")
        if column in header:
            return header.index(column), False
        if column.isascii() and column.isdigit() and 1 <= int(column) <= len(header):
            return int(column) - 1, False
        raise InputError(
            f"{path} has no column {column!r}; give --column one of {listed(header)}, or a number from 1 to {len(header)}."
        )
    usual = [number for number, name in enumerate(header) if name.strip().lower() in _USUAL]
    if len(usual) > 1:
        raise InputError(
            f"Several columns of {path} may hold the prompts; give --column, one of {listed([header[i] for i in usual])}."
        )
    if usual:
        return usual[0], False
    chosen = min(1, len(header) - 1)
    notice(f"prompts are taken from column {printable(header[chosen])!r} of {path.name}; --column chooses another")
    return chosen, True


@dataclass(frozen=True, slots=True)
class Record:
    """A record of JSON and where it stands, for messages."""

    value: Any
    path: Path
    place: str


def _records(paths: Sequence[Path], keys: Sequence[str]) -> list[Found]:
    records = [record for path in paths for record in read_records(path)]
    by_set = {} if keys else _usual_keys(records)
    found = []
    for record in records:
        value = record.value
        if isinstance(value, dict):
            chosen = keys or by_set[tuple(sorted(value))]
            name = next((key for key in chosen if key in value), None)
            if name is None:
                raise InputError(
                    f"{record.place} has none of the keys {listed(chosen)} but {listed(sorted(value))}; add one to --keys."
                )
            value = value[name]
        if not isinstance(value, str):
            raise InputError(f"{record.place} has {_kind(value)} where a prompt should be; it must be a text.")
        if not is_text(value):
            raise InputError(f"{record.place} holds half of a surrogate pair (\\ud800 to \\udfff), which is no text; mend it.")
        found.append(Found(value, record.place))
    return found


def read_records(path: Path) -> Iterator[Record]:
    """The records of a .jsonl or .json file."""
    text = file_text(path)
    if path.suffix.lower() == ".jsonl":
        for row, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield Record(_parsed(line, f"{path}:{row}"), path, f"{path}:{row}")
        return
    value = _parsed(text, str(path))
    if not isinstance(value, list):
        raise InputError(
            f"{path} holds {_kind(value)}, not a list of records; it must be a JSON list, or JSON lines in a .jsonl."
        )
    for number, record in enumerate(value, 1):
        yield Record(record, path, f"{path}, record {number},")


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = "" if "\n" not in text.strip() else f", line {error.lineno}"
        raise InputError(f"{place} is not JSON ({error.msg}{line}, column {error.colno}); mend that place.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is not JSON that can be read ({error}); mend it.") from error


def _usual_keys(records: Sequence[Record]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """For every set of keys that records have, the one that holds the prompt: there must be no doubt about it."""
    sets = Counter(tuple(sorted(record.value)) for record in records if isinstance(record.value, dict))
    chosen: dict[tuple[str, ...], tuple[str, ...]] = {}
    for names in sets:
        usual = names if len(names) == 1 else tuple(name for name in names if name.lower() in _USUAL)
        if len(usual) == 1:
            chosen[names] = usual
    if len(chosen) < len(sets) or len({*chosen.values()}) > 1:
        shown = "; ".join(
            f"{listed(names)} ({count} record{'s' if count > 1 else ''})" for names, count in sets.most_common(_SHOWN)
        )
        more = f" and {len(sets) - _SHOWN} more sets" if len(sets) > _SHOWN else ""
        where = records[0].path if len({record.path for record in records}) == 1 else "these files"
        raise InputError(
            f"It is not plain which key of the records in {where} holds the prompt: there are {shown}{more}; give --keys, of "
            "which the first that a record has is taken."
        )
    return chosen


def is_text(value: str) -> bool:
    """Not where half of a surrogate pair stands: from JSON, or from a command line that is not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(printable(repr(name)) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
