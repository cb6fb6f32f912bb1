"""What every kind of picture can do, and where it goes: the screen, and PNG, SVG and CSV beside each other.

Owns the files' names and their writing, whole or not at all, and what a terminal is told: colours only where they are seen.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from engine.atomic import write_whole
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

    def drawn(self) -> Mapping[str, bytes]:
        """File suffix → content: PNG and SVG, or HTML where it is text that is shown."""
        ...


def screen() -> tuple[int, bool]:
    """How wide to print, and whether in colour: 80 columns and none in a pipe."""
    tty = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((WIDTH, 24)).columns, _WIDEST) if tty else WIDTH
    return width, tty and not os.environ.get("NO_COLOR")


def show(picture: Picture) -> None:
    print(f"\n{picture.text(*screen())}\n")


def save_picture(workspace: Workspace, stem: str, key: str, picture: Picture) -> Path:
    """Write `artifacts/plots/<stem>-<key>` with each of its suffixes, note them all → the path of the first."""
    contents = {**picture.drawn(), "csv": picture.numbers().encode()}
    paths = {suffix: workspace.plots / f"{stem}-{key}.{suffix}" for suffix in contents}
    for suffix, content in contents.items():
        write_whole(paths[suffix], content)
    for path in paths.values():
        note_artifact(workspace, path, "plots", key)
    return next(iter(paths.values()))
