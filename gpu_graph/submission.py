"""What a client hands over when it submits: a graph, where it comes from, and the surroundings that its tasks get.

A client writes one submission file into the private state folder and sends its name and hash, so that big graphs and
environments never pass through the socket. `server/submission_store.py` is the server's side of these files.
"""

from __future__ import annotations

import hashlib
import json
import secrets
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
    name = f"{digest}-{secrets.token_hex(4)}.json"  # two clients may submit the very same thing at once
    folder = state / "incoming"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(folder / name, data)
    except OSError as error:
        raise ServerError(f"cannot write the submission to {folder}: {error.strerror}; nothing was started") from None
    return name, digest
