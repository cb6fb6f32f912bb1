"""Texts to score out of files: tables, JSON records and lines, each text behind its prompt if it has one.

Owns which columns hold texts and prompts, and the forms of the published program's results (§3): a column `decoding` in which a
`|` ends the prompt, and one `texts`. It knows neither settings nor models.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.cd.prompts.asked import BEGIN
from engine.cd.prompts.files import RECORDS, TABLES, file_text, is_text, listed, read_records
from engine.errors import InputError
from engine.progress import notice

MARKED = ("decoding", "texts")
"""Columns of published results, whose texts begin with their prompt and a `|`."""
_USUAL = ("text", *MARKED, "continuation", "response")


@dataclass(frozen=True, slots=True)
class FoundText:
    """prompt: empty where the file names none."""

    prompt: str
    text: str
    place: str


def read_texts_file(name: str, column: str | None, prompt_column: str | None) -> list[FoundText]:
    """Every text of the file, in its order; none is empty. Raises InputError in one sentence with file and line."""
    path = Path(name).expanduser()
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"There is no file of texts {path}; check its name, or give texts with --text.")
    if suffix == ".txt":
        if column or prompt_column:
            raise InputError(f"{path} has lines, not columns; leave --column and --prompt-column out.")
        found = [FoundText("", line, f"{path}:{row}") for row, line in enumerate(file_text(path).split("\n"), 1)]
    elif suffix in TABLES:
        found = _rows(_table(path), column, prompt_column)
    elif suffix in RECORDS:
        found = _rows([(record.place, record.value) for record in read_records(path)], column, prompt_column)
    else:
        raise InputError(f"{path} is no file of texts; give .csv, .tsv, .jsonl, .json or .txt.")
    kept = [one for one in found if one.text.strip()]
    if not kept:
        raise InputError(f"{path} holds no texts; fill it, or give another file.")
    if len(kept) < len(found) and suffix != ".txt":
        notice(f"{len(found) - len(kept)} of {len(found)} records have a blank text and are left out")
    return kept


def _table(path: Path) -> list[tuple[str, Mapping[str, object]]]:
    text = file_text(path)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=TABLES[path.suffix.lower()], strict=True)
    rows = []
    try:
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise InputError(f"{place} has another number of cells than there are headings; put texts into double quotes.")
            rows.append((place, row))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num} is no row of a table ({error}); mend its quotes.") from error
    return rows


def _rows(
    records: Sequence[tuple[str, Mapping[str, object]]], column: str | None, prompt_column: str | None
) -> list[FoundText]:
    found = []
    for place, record in records:
        if not isinstance(record, dict):
            raise InputError(f"{place} is no record with keys; give an object with a key 'text'.")
        chosen = column or next((name for name in _USUAL if name in record), None)
        if chosen is None or chosen not in record:
            wanted = f"no column {chosen!r}" if chosen else "no column of texts"
            raise InputError(f"{place} has {wanted}; give --column, one of {listed([*map(str, record)])}.")
        if prompt_column is not None and prompt_column not in record:
            raise InputError(f"{place} has no column {prompt_column!r}; it has {listed([*map(str, record)])}.")
        text, prompt = _said(record[chosen], place), _said(record.get(prompt_column or "prompt") or "", place)
        found.append(FoundText(*(_unmarked(text) if chosen in MARKED and not prompt else (prompt, text)), place))
    return found


def _said(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{place} has {value!r} where a text should be.")
    if not is_text(value):
        raise InputError(f"{place} holds half of a surrogate pair (\\ud800 to \\udfff), which is no text; mend it.")
    return value


def _unmarked(text: str) -> tuple[str, str]:
    """Prompt and continuation of a published result. Without a marker all of it is the text. The begin token, which may hold
    bars itself, is written by tokenizers."""
    begin = next((one for one in BEGIN if text.startswith(one)), "")
    prompt, marker, continuation = text.removeprefix(begin).partition("|")
    return (prompt, continuation) if marker else ("", prompt)
