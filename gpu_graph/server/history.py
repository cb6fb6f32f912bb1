"""Runs that this server does not hold: ended ones, and those of other hosts on a shared file system. Read only.

A summary is kept while the journal has not changed, so listing a workspace with thousands of runs costs a stat for each.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from gpu_graph import run_folder
from gpu_graph.errors import GraphError
from gpu_graph.run_folder import StoredRun
from gpu_graph.views import run_view

log = logging.getLogger("tiller.server")


class History:
    def __init__(self) -> None:
        self._summaries: dict[Path, tuple[tuple[int, int], dict[str, Any] | None]] = {}

    def summary(self, folder: Path) -> dict[str, Any] | None:
        """The view of the run in this folder, without tasks; None, and once a line in the server's log, when it is damaged."""
        try:
            status = (folder / run_folder.JOURNAL).stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        cached = self._summaries.get(folder)
        if cached is None or cached[0] != stamp:
            try:
                view = self.view(run_folder.load_run(folder), folder.parent.parent)
            except GraphError as error:
                log.warning("%s", error)
                view = None
            cached = self._summaries[folder] = (stamp, view)
        return cached[1]

    def view(self, stored: StoredRun, workspace: Path) -> dict[str, Any]:
        return run_view(stored.state, host=stored.opened["host"], workspace=str(workspace), stopped=not stored.state.ended)
