"""What every kind of picture can do, and where it goes: the screen, and PNG, SVG and CSV beside each other.

Owns the files' names and their writing, whole or not at all, and what a terminal is told: colours only where they are seen.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from engine.atomic import write_whole
from engine.printable import printable
from engine.store.catalog import note_artifact
from engine.text_table import WIDTH
from engine.workspace import Workspace

_WIDEST = 100


class Picture(Protocol):
    def text(self, width: int, color: bool) -> str:
        """For a terminal of `width` columns, without control codes unless `color`."""
        ...

    def numbers(self) -> str:
        """Every number that is drawn, as CSV."""
        ...

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        """File suffix → content: PNG and SVG, or HTML where it is text that is shown. told: a line about all of it."""
        ...


def screen() -> tuple[int, bool]:
    """How wide to print, and whether in colour: 80 columns and none in a pipe."""
    tty = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((WIDTH, 24)).columns, _WIDEST) if tty else WIDTH
    return width, tty and not os.environ.get("NO_COLOR")


def show(picture: Picture, told: str = "") -> None:
    """told: what all of it was drawn of."""
    width, color = screen()
    head = f"{textwrap.fill(printable(told), width)}\n\n" if told else ""
    print(f"\n{head}{picture.text(width, color)}\n")


def save_picture(workspace: Workspace, stem: str, key: str, picture: Picture, told: str = "") -> Path:
    """Write `artifacts/plots/<stem>-<key>` with each of its suffixes, note them all → the path of the first. told: what all of
    it was drawn of, which every row of the numbers says too."""
    contents = {**picture.drawn(told), "csv": _with_column(picture.numbers(), told).encode()}
    paths = {suffix: workspace.plots / f"{stem}-{key}.{suffix}" for suffix in contents}
    for suffix, content in contents.items():
        write_whole(paths[suffix], content)
    for path in paths.values():
        note_artifact(workspace, path, "plots", key)
    return next(iter(paths.values()))


def _with_column(numbers: str, told: str) -> str:
    """The numbers with a last column `settings`, so that rows of several pictures can be put together."""
    head, *rows = csv.reader(io.StringIO(numbers))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[*head, "settings"], *([*row, told] for row in rows)])
    return out.getvalue()
