"""The workspaces that this user's servers have had runs of, so that `tiller status --all` can list them. A convenience: losing
the file loses no run.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from gpu_graph.files import write_whole

log = logging.getLogger("tiller.server")


class KnownWorkspaces:
    def __init__(self, state: Path) -> None:
        self._path = state / "workspaces.json"
        try:
            self._known: set[str] = set(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            self._known = set()
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s cannot be read: %s", self._path, error)
            self._known = set()

    def add(self, workspace: str) -> None:
        if workspace in self._known:
            return
        self._known.add(workspace)
        try:
            write_whole(self._path, json.dumps(sorted(self._known)).encode())
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)

    def present(self) -> list[Path]:
        """Those that are still there, in alphabetical order."""
        return [Path(name) for name in sorted(self._known) if Path(name).is_dir()]
