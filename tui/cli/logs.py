"""`tiller logs RUN TASK [-f] [--attempt N]`: a task's output, as written when piped, cleaned on a terminal.

Bytes are read from the log file by offset; the server is only asked which attempt there is and whether it goes on.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from gpu_graph.client import Client
from gpu_graph.errors import GraphError, ServerError
from gpu_graph.run_folder import attempt_base
from tui.cli.arguments import RUN_HELP, parser, workspace_of
from tui.safe_text import clean_for_terminal

_POLL_SECONDS = 0.25
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 20
"""A longer one is shown in pieces on a terminal, so that no log has to fit into memory."""


def main(argv: list[str]) -> int:
    options = parser("logs", "A task's output: raw bytes when piped, control sequences removed on a terminal.")
    options.add_argument("run", metavar="RUN", help=RUN_HELP)
    options.add_argument("task", metavar="TASK", help="the task's id")
    options.add_argument("-f", "--follow", action="store_true", help="go on until the task has ended")
    options.add_argument("--attempt", type=int, metavar="N", help="which attempt, from 1 (default: the last)")
    arguments = options.parse_args(argv)
    log = _Log(workspace_of(arguments), arguments.run, arguments.task)
    try:
        return _show(log, arguments.attempt, follow=arguments.follow)
    finally:
        log.close()


class _Log:
    """A task's attempts as the server knows them now, and their files. It survives the server, as the task does."""

    def __init__(self, workspace: Path, run: str, task: str) -> None:
        self._workspace = workspace
        self._run = run
        self._task = task
        self._client = Client.connect()
        self._folder = workspace

    def look(self) -> dict[str, Any]:
        """The task's state. Raises GraphError when there is no such run or task."""
        try:
            run = self._ask()
        except ServerError:
            self._client.close()
            self._client = Client.connect()
            run = self._ask()
        if not run["tasks"]:
            raise GraphError(f"run {run['id']} has no task {self._task!r}; tiller status {run['id']} lists them")
        self._run = run["id"]  # "last" stays the run that it was when we began
        self._folder = Path(run["workspace"]) / "logs" / run["id"]
        return run["tasks"][0]

    def open(self, attempt: int) -> BinaryIO | None:
        base = attempt_base(self._folder, self._task, attempt)
        try:
            return base.with_name(f"{base.name}.log").open("rb")
        except FileNotFoundError:
            return None

    def close(self) -> None:
        self._client.close()

    def _ask(self) -> dict[str, Any]:
        return self._client.request("status", workspace=str(self._workspace), run=self._run, tasks=[self._task])


def _show(log: _Log, attempt: int | None, *, follow: bool) -> int:
    task = log.look()
    if attempt is not None and not 1 <= attempt <= task["attempt"]:
        raise GraphError(f"task {task['id']!r} has {task['attempt']} attempts; there is no attempt {attempt}")
    while not task["attempt"] and follow and task["ended_at"] is None:
        time.sleep(_POLL_SECONDS)
        task = log.look()
    if not task["attempt"]:
        print(f"task {task['id']} is {task['state']}: {task['reason'] or 'it has not started'}", file=sys.stderr)
        return 0
    shown, offset = attempt or task["attempt"], 0
    while True:
        over = not follow or task["ended_at"] is not None or task["attempt"] > shown  # asked before the last copy of it
        offset = _copy(log, shown, offset, whole=over)
        if over and (attempt is not None or task["attempt"] == shown):
            return 0
        if task["attempt"] > shown:
            shown, offset = shown + 1, 0
            print(f"— attempt {shown} —", file=sys.stderr)
        else:
            time.sleep(_POLL_SECONDS)
        task = log.look()


def _copy(log: _Log, attempt: int, offset: int, *, whole: bool) -> int:
    """Print the log from this offset on; returns where it ended. On a terminal cleaned, and a last line without its end
    only when `whole` says that no more will come."""
    file = log.open(attempt)
    if file is None:
        return offset
    with file:
        file.seek(offset)
        if not sys.stdout.isatty():
            shutil.copyfileobj(file, sys.stdout.buffer, _CHUNK)
            sys.stdout.buffer.flush()
            return file.tell()
        for line in iter(lambda: file.readline(_LONGEST_LINE), b""):
            if not whole and not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                break
            sys.stdout.write(clean_for_terminal(line.removesuffix(b"\n")) + "\n")
            offset += len(line)
        sys.stdout.flush()
        return offset
