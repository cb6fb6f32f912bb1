"""What a client hands over when it submits, and where the server keeps it: files in the private state folder.

A client writes one submission file and sends its path and hash, so that big graphs and environments never pass through
the socket. Once accepted the same file, with the run's id as its name, is the record that this server owns the run; it
alone holds the client's environment, and it goes when the run ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_graph.errors import GraphError, ServerError
from gpu_graph.files import write_whole
from gpu_graph.spec import GraphSpec

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Submission:
    """A graph, where it comes from, and the surroundings that its tasks get. gpu_indices: the only GPUs it may use, or None.

    run_file: its text as it was run, or None. git: commit and diff of the workspace, or None.
    """

    graph: GraphSpec
    workspace: str
    environment: Mapping[str, str]
    interpreter: str
    run_file: str | None = None
    run_file_path: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: {})
    git: Mapping[str, Any] | None = None
    gpu_indices: tuple[int, ...] | None = None

    def to_bytes(self) -> bytes:
        said = {
            "schema": SCHEMA,
            "graph": self.graph.to_json(),
            "workspace": self.workspace,
            "environment": dict(self.environment),
            "interpreter": self.interpreter,
            "run_file": self.run_file,
            "run_file_path": self.run_file_path,
            "parameters": dict(self.parameters),
            "git": self.git,
            "gpu_indices": self.gpu_indices,
        }
        return json.dumps(said).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Submission:
        """Raises GraphError for a file of another tiller version or of no tiller at all."""
        try:
            said = json.loads(data)
            if said.pop("schema") != SCHEMA:
                raise ValueError("it was written by another tiller version")
            graph = GraphSpec.from_json(said.pop("graph"))
            indices = said.pop("gpu_indices")
            return cls(graph=graph, gpu_indices=None if indices is None else tuple(indices), **said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GraphError(f"the submission cannot be read: {error}") from None


def write_submission(state: Path, submission: Submission) -> tuple[str, str]:
    """Put a submission where the server finds it; returns its name and sha256. Raises ServerError on a full disk."""
    data = submission.to_bytes()
    digest = hashlib.sha256(data).hexdigest()
    folder = state / "incoming"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(folder / f"{digest}.json", data)
    except OSError as error:
        raise ServerError(f"cannot write the submission to {folder}: {error.strerror}; nothing was started") from None
    return f"{digest}.json", digest


class SubmissionStore:
    """The server's side of the files: take one in, keep it while its run lives, drop it."""

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
