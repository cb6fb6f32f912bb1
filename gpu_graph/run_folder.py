"""A run on disk: `logs/<run>/` with its journal, graph, the run file that was run, git state, and task logs.

Owns the layout and how a run is read back from it, by a server that adopts it or by anybody who lists it.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_graph import journal
from gpu_graph.errors import GraphError
from gpu_graph.files import sync_folder, write_whole
from gpu_graph.spec import GraphSpec
from gpu_graph.state import RunState
from gpu_graph.workspace import RUN_ID

JOURNAL = "journal.jsonl"
GRAPH = "graph.json"

_NAME = re.compile(r"\d{8}-\d{6}-(.*)-[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as its folder tells it: the reduced journal, its first record, and the bytes its whole records fill."""

    state: RunState
    opened: dict[str, Any]
    size: int


def new_run_id(name: str, at: float, logs: Path, taken: Container[str]) -> str:
    """`20261120-103455-<name>-<4 hex>`, unused in this `logs/` and not one of `taken`, the runs of other workspaces."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(at))
    while (run_id := f"{stamp}-{name}-{secrets.token_hex(2)}") in taken or (logs / run_id).exists():
        pass
    return run_id


def run_name(run_id: str) -> str:
    """The graph's name in a run id."""
    match = _NAME.fullmatch(run_id)
    if match is None:
        raise GraphError(f"{run_id!r} is not a run id")
    return match[1]


def list_runs(workspace: Path) -> list[str]:
    """The ids of all runs of the workspace, in no particular order."""
    logs = workspace / "logs"
    return [path.name for path in logs.iterdir() if RUN_ID.fullmatch(path.name)] if logs.is_dir() else []


def attempt_base(folder: Path, task_id: str, attempt: int) -> Path:
    """The path of an attempt's files without their suffix: `<task>/<attempt>`."""
    return folder / task_id / str(attempt)


class NewRunFolder:
    """A run's folder in the making: hidden until `commit`, so that a crash or a full disk leaves no half of a run."""

    def __init__(self, workspace: Path, run_id: str) -> None:
        self.final = workspace / "logs" / run_id
        self._hidden = self.final.with_name(f".{run_id}.new")

    def write(self, files: dict[str, bytes], records: list[dict[str, Any]]) -> None:
        """Raises OSError, having removed what was written."""
        try:
            self._hidden.parent.mkdir(mode=0o700, exist_ok=True)
            self._hidden.mkdir(mode=0o700)
            for name, data in files.items():
                write_whole(self._hidden / name, data)
            writer = journal.Journal(self._hidden / JOURNAL)
            try:
                for record in records:
                    writer.append(record)
                writer.sync()
            finally:
                writer.close()
        except OSError:
            self.discard()
            raise

    def commit(self) -> None:
        self._hidden.rename(self.final)
        sync_folder(self.final.parent)

    def discard(self) -> None:
        shutil.rmtree(self._hidden, ignore_errors=True)


def load_run(folder: Path) -> StoredRun:
    """Replay a run's journal. Raises GraphError when the folder does not hold a whole run."""
    try:
        records, size = journal.read(folder / JOURNAL)
        graph = GraphSpec.from_json(json.loads((folder / GRAPH).read_bytes()))
    except FileNotFoundError as error:
        raise GraphError(f"{folder} is not a run: {error.filename} is missing") from None
    except (ValueError, KeyError, TypeError) as error:
        raise GraphError(f"{folder / GRAPH} cannot be read: {error}") from None
    if not records or records[0].get("type") != "opened" or records[0].get("format") != journal.FORMAT:
        raise GraphError(f"{folder / JOURNAL} does not begin with an opened record of format {journal.FORMAT}")
    state = RunState(folder.name, graph)
    for number, record in enumerate(records, start=1):
        try:
            state.apply(record)
        except (KeyError, TypeError) as error:
            where = f"{folder / JOURNAL}: line {number}"
            raise GraphError(f"{where} is not a record that this tiller version knows: {error!r}") from None
    return StoredRun(state, records[0], size)
