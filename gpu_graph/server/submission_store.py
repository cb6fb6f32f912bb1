"""The server's side of submission files: take one in, keep it while its run lives, drop it.

An accepted submission, with the run's id as its name, is the record that this server owns the run; it alone holds the
client's environment, and it goes when the run ends.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from pathlib import Path

from gpu_graph.errors import GraphError
from gpu_graph.files import sync_folder
from gpu_graph.submission import Submission

_NAME = re.compile(r"[0-9a-f-]+\.json")
_STALE_SECONDS = 3600.0

log = logging.getLogger("tiller.server")


class SubmissionStore:
    def __init__(self, state: Path) -> None:
        self._incoming = state / "incoming"
        self._active = state / "active"
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        self._active.mkdir(mode=0o700, exist_ok=True)
        for path in self._incoming.iterdir():  # of clients that died before they could announce them; they hold environments
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink(missing_ok=True)

    def read_incoming(self, name: str, digest: str) -> Submission:
        """Raises GraphError when the file is missing or is not what was announced."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise GraphError(f"the submission {path} cannot be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise GraphError(f"the submission {path} is not what was announced; submit again")
        return Submission.from_bytes(data)

    def discard_incoming(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def accept(self, name: str, run_id: str) -> None:
        self._path(name).rename(self._active / f"{run_id}.json")
        sync_folder(self._active)

    def read_active(self) -> dict[str, Submission]:
        """The runs that this server owns, by id. One that cannot be read is left out, with a line in the server's log."""
        found: dict[str, Submission] = {}
        for path in sorted(self._active.glob("*.json")):
            try:
                found[path.name.removesuffix(".json")] = Submission.from_bytes(path.read_bytes())
            except (GraphError, OSError) as error:
                log.error("%s: %s", path, error)
        return found

    def drop(self, run_id: str) -> None:
        (self._active / f"{run_id}.json").unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise GraphError(f"{name!r} is not the name of a submission")
        return self._incoming / name
