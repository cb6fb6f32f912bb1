"""`tiller logs RUN TASK [-f] [--attempt N]`: a task's output, as written when piped, cleaned on a terminal.

Bytes are read from the log file by offset; the server is only asked which attempt there is and whether it goes on.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_graph.client import Client
from gpu_graph.errors import GraphError
from gpu_graph.run_folder import attempt_base
from tui.cli.arguments import RUN_HELP, parser, workspace_of
from tui.safe_text import clean_for_terminal

_POLL_SECONDS = 0.25
_CHUNK = 1 << 16


def main(argv: list[str]) -> int:
    options = parser("logs", "A task's output: raw bytes when piped, control sequences removed on a terminal.")
    options.add_argument("run", metavar="RUN", help=RUN_HELP)
    options.add_argument("task", metavar="TASK", help="the task's id")
    options.add_argument("-f", "--follow", action="store_true", help="go on until the task has ended")
    options.add_argument("--attempt", type=int, metavar="N", help="which attempt, from 1 (default: the last)")
    arguments = options.parse_args(argv)
    workspace = workspace_of(arguments)
    with Client.connect() as client:

        def look() -> tuple[Path, dict[str, Any]]:
            run = client.request("status", workspace=str(workspace), run=arguments.run)
            task = next((task for task in run["tasks"] if task["id"] == arguments.task), None)
            if task is None:
                raise GraphError(f"run {run['id']} has no task {arguments.task!r}; tiller status {run['id']} lists them")
            return Path(run["workspace"]) / "logs" / run["id"], task

        return _show(look, arguments.attempt, follow=arguments.follow)


def _show(look: Callable[[], tuple[Path, dict[str, Any]]], attempt: int | None, *, follow: bool) -> int:
    folder, task = look()
    if attempt is not None and not 1 <= attempt <= task["attempt"]:
        raise GraphError(f"task {task['id']!r} has {task['attempt']} attempts; there is no attempt {attempt}")
    while not task["attempt"] and follow and task["ended_at"] is None:
        time.sleep(_POLL_SECONDS)
        folder, task = look()
    if not task["attempt"]:
        print(f"task {task['id']} is {task['state']}: {task['reason'] or 'it has not started'}", file=sys.stderr)
        return 0
    shown = attempt or task["attempt"]
    offset = _copy(folder, task["id"], shown, 0)
    while follow:
        over = task["ended_at"] is not None or task["attempt"] > shown  # asked before the last copy, so nothing is missed
        offset = _copy(folder, task["id"], shown, offset)
        if over and (attempt is not None or task["attempt"] == shown):
            break
        if task["attempt"] > shown:
            shown, offset = task["attempt"], 0
            print(f"— attempt {shown} —", file=sys.stderr)
        time.sleep(_POLL_SECONDS)
        folder, task = look()
    return 0


def _copy(folder: Path, task_id: str, attempt: int, offset: int) -> int:
    """Print the log from this offset on; returns where it ended. On a terminal only whole lines, cleaned."""
    base = attempt_base(folder, task_id, attempt)
    cleaned = sys.stdout.isatty()
    try:
        file = base.with_name(f"{base.name}.log").open("rb")
    except FileNotFoundError:
        return offset
    with file:
        file.seek(offset)
        if not cleaned:
            shutil.copyfileobj(file, sys.stdout.buffer, _CHUNK)
            sys.stdout.buffer.flush()
            return file.tell()
        for line in file:
            sys.stdout.write(clean_for_terminal(line.removesuffix(b"\n")) + "\n")
        sys.stdout.flush()
        return file.tell()
