"""Items that are there already: sets whose items must not come again, and examples to show the assistant."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.data_making.checking import choices
from engine.data_making.checking.forms import fitting, recognise
from engine.data_making.checking.layout import data_files
from engine.data_making.checking.reading import read_rows
from engine.errors import InputError

_SHOWN = 3


def texts_of(names: Sequence[str]) -> Iterator[str]:
    """What the items of files and folders say, in any form that `tiller data check` knows: a question without its options."""
    for name in names:
        path = Path(name).expanduser()
        for file in data_files(path) if path.is_dir() else [path]:
            rows = read_rows(file)
            form = recognise(rows)
            if form is None:
                raise InputError(f"{file} is of no form that tiller knows; `tiller data check {file}` says more.")
            for _, record in fitting(form, rows):
                if isinstance(record, str):
                    yield record
                else:
                    asked = record.get("question", record.get("prompt") if "correct" in record else None)
                    yield choices.plain_text(asked) if asked is not None else form.text(record)


def examples(name: str | None) -> list[Any]:
    """The records of a file of good items, as they are to be shown."""
    return [record for _, record in read_rows(Path(name).expanduser()).records] if name else []


def dealt_examples(known: Sequence[Any], seed: int, number: int) -> list[Any]:
    """Those that request `number` shows."""
    return random.Random(f"examples {seed} {number}").sample(list(known), min(_SHOWN, len(known)))
