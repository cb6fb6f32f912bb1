"""Where artifacts live: the nearest workspace of the current folder, and the names of its parts.

Owns paths only; what is written there belongs to `engine.store`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError

_PARTS = ("runs", "logs", "artifacts")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with `tiller.toml`, or with all of `runs/ logs/ artifacts/`."""

    root: Path

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def vectors(self) -> Path:
        return self.artifacts / "vectors"

    @property
    def finetuned(self) -> Path:
        return self.artifacts / "finetuned"

    @property
    def folded(self) -> Path:
        return self.artifacts / "folded"

    @property
    def plots(self) -> Path:
        return self.artifacts / "plots"

    def relative(self, path: Path) -> str:
        """`path` as it is named in records and messages: from the workspace's root where it lies inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def find_workspace() -> Workspace:
    """`$TILLER_WORKSPACE`, else the nearest ancestor of the current folder that is a workspace and belongs to the user."""
    named = os.environ.get("TILLER_WORKSPACE")
    if named:
        root = Path(named)
        if not root.is_dir():
            raise InputError(f"TILLER_WORKSPACE names {named}, which is not a folder; make it with `tiller init {named}`.")
        return Workspace(root.resolve())
    here = Path.cwd()
    for folder in (here, *here.parents):
        if _is_workspace(folder) and folder.stat().st_uid == os.getuid():
            return Workspace(folder)
    raise InputError(f"{here} lies in no tiller workspace; make one with `tiller init`, or set TILLER_WORKSPACE to one.")


def _is_workspace(folder: Path) -> bool:
    return (folder / "tiller.toml").is_file() or all((folder / part).is_dir() for part in _PARTS)
