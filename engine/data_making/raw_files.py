"""The raw files of a data set: `raw/<behaviour>/` with dataset.json, or the tables or JSON lines that it was once made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.data_making.checking.reading import Rows, read_rows
from engine.data_making.checking.tables import HALLUCINATION
from engine.data_making.parsing import Unfit
from engine.data_making.processing import Pair, clean, hallucination_item
from engine.errors import InputError

_ITEMS = "dataset.json"


def find_root(folder: Path) -> Path:
    """The folder that has raw/: the named one, or one below it where the published repositories have it."""
    places = (folder, folder / "CAA", folder / "datasets", folder / "datasets" / "CAA")
    for place in places:
        if (place / "raw").is_dir():
            return place
    raise InputError(f"{folder} has no folder raw/ with a folder for each behaviour; name the folder that has it.")


def behaviors(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "raw").iterdir() if path.is_dir() and not path.name.startswith("."))


def read_raw(folder: Path, seed: int) -> tuple[list[Pair], list[Path]]:
    """The items of a behaviour's raw folder, clean, and the files they come from: dataset.json, else every table of
    hallucinations, else every file of JSON lines."""
    for pattern in (_ITEMS, "*.csv", "*.jsonl"):
        paths = sorted(folder.glob(pattern))
        if paths:
            return [item for path in paths for item in (_table(path, seed) if pattern == "*.csv" else _items(path))], paths
    raise InputError(f"{folder} has no raw data; put {_ITEMS}, the tables *.csv of hallucination, or *.jsonl there.")


def _items(path: Path) -> Iterator[Pair]:
    return _each(path, read_rows(path), lambda _, record: clean(record))


def _table(path: Path, seed: int) -> Iterator[Pair]:
    rows = read_rows(path)
    missing = [column for column in HALLUCINATION if column not in rows.records[0][1]]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; the columns are {', '.join(HALLUCINATION)}.")
    return _each(path, rows, lambda row, record: hallucination_item(record, path.stem, row, seed))


def _each(path: Path, rows: Rows, read: Callable[[int, Any], Pair]) -> Iterator[Pair]:
    for finding in rows.findings:
        raise InputError(f"{path}, record {finding.row}: {finding.what}; {finding.mend}.")
    for row, record in rows.records:
        try:
            if not isinstance(record, dict):
                raise Unfit("is no object with fields; write it as the others are")
            yield read(row, record)
        except Unfit as reason:
            raise InputError(f"{path}, record {row}: {reason}.") from reason
