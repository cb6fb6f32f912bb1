"""Where runs are kept, and which one a few letters mean. Paths only."""

from __future__ import annotations

from pathlib import Path

from engine.errors import InputError
from engine.workspace import Workspace

REPORT = "report.json"


def runs_folder(workspace: Workspace) -> Path:
    return workspace.artifacts / "pipelines"


def report_path(workspace: Workspace, prefix: str | None) -> Path:
    """The report of the run whose key begins so; None: of the only one."""
    known = sorted(path.parent.name for path in runs_folder(workspace).glob(f"*/{REPORT}"))
    if not known:
        raise InputError("No run of this workspace has a report yet; start one with `tiller cd pipeline`.")
    found = [key for key in known if key.startswith(prefix or "")]
    if len(found) != 1:
        named = f"'{prefix}' is the beginning of {len(found)}" if prefix else f"There are {len(found)}"
        raise InputError(f"{named} of the runs {', '.join(known)}; name one of them.")
    return runs_folder(workspace) / found[0] / REPORT
