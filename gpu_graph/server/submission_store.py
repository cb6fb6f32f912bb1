"""The server's side of submission files: take one in, keep it while its run lives, drop it.

An accepted submission, with the run's id as its name, is the record that this server owns the run; it alone holds the
client's environment, and it goes when the run ends.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gpu_graph.errors import GraphError
from gpu_graph.submission import Submission


class SubmissionStore:
    def __init__(self, state: Path) -> None:
        self._incoming = state / "incoming"
        self._active = state / "active"
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        self._active.mkdir(mode=0o700, exist_ok=True)

    def read_incoming(self, name: str, digest: str) -> Submission:
        """Raises GraphError when the file is missing or is not what was announced."""
        path = self._incoming / Path(name).name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise GraphError(f"the submission {path} cannot be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise GraphError(f"the submission {path} is not what was announced; submit again")
        return Submission.from_bytes(data)

    def discard_incoming(self, name: str) -> None:
        (self._incoming / Path(name).name).unlink(missing_ok=True)

    def accept(self, name: str, run_id: str) -> None:
        (self._incoming / Path(name).name).rename(self._active / f"{run_id}.json")

    def read_active(self) -> dict[str, Submission]:
        """The runs that this server owns, by id."""
        return {path.stem: Submission.from_bytes(path.read_bytes()) for path in sorted(self._active.glob("*.json"))}

    def drop(self, run_id: str) -> None:
        (self._active / f"{run_id}.json").unlink(missing_ok=True)
