"""Which directory is the workspace, and how its runs are found by what a person types.

A workspace has `tiller.toml`, or all of `runs/ logs/ artifacts/`. One that another user owns is not taken: a planted
`tiller.toml` in a shared folder must not choose what runs.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from gpu_graph.errors import GraphError

FOLDERS = ("runs", "logs", "artifacts")
RUN_ID = re.compile(r"\d{8}-\d{6}-[A-Za-z0-9_][A-Za-z0-9_.=+-]{0,99}-[0-9a-f]{4}")


def is_workspace(folder: Path) -> bool:
    return (folder / "tiller.toml").is_file() or all((folder / name).is_dir() for name in FOLDERS)


def find_workspace(start: Path, chosen: str | Path | None = None) -> Path:
    """`chosen`, or the nearest ancestor of `start` that is a workspace of this user. Raises GraphError when there is none."""
    if chosen is not None:
        folder = Path(chosen).resolve()
        if not is_workspace(folder):
            raise GraphError(f"{folder} is not a workspace (no tiller.toml); make it one with: tiller init {folder}")
        return folder
    resolved = start.resolve()
    for folder in (resolved, *resolved.parents):
        if is_workspace(folder):
            if folder.stat().st_uid == os.getuid():
                return folder
            warnings.warn(f"{folder} looks like a workspace but belongs to another user: ignored", stacklevel=2)
    raise GraphError(f"no workspace here: neither {resolved} nor a folder above it has tiller.toml; make one with: tiller init")


def match_run(selector: str, ids: Sequence[str]) -> str:
    """The run id that `selector` names: an id, a unique prefix or suffix of one, or "last" (`ids` are oldest first).

    Raises GraphError when none or several match.
    """
    if selector == "last":
        if not ids:
            raise GraphError("there is no run here yet; start one with: tiller run FILE")
        return ids[-1]
    if selector in ids:
        return selector
    matches = [run_id for run_id in ids if run_id.startswith(selector) or run_id.endswith(selector)]
    if len(matches) == 1 and selector:
        return matches[0]
    if not matches or not selector:
        raise GraphError(f"no run {selector!r} in this workspace; tiller status lists them")
    raise GraphError(
        f"{selector!r} fits {len(matches)} runs: {', '.join(matches[:4])}{' …' if len(matches) > 4 else ''}; say more of it"
    )
