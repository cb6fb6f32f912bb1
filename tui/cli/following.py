"""Following a run to its end for `tiller run` and `tiller wait`: progress, summary, failed tasks' last words, exit status."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from gpu_graph.client import Client
from gpu_graph.follow import follow, summary_lines
from gpu_graph.run_folder import attempt_base
from tui.safe_text import clean_for_terminal

_SHOWN_LOGS = 3
_SHOWN_LINES = 12
_TAIL_BYTES = 16 * 1024


def follow_to_exit_status(client: Client, workspace: Path, run_id: str) -> int:
    """0 when all succeeded or were cached, 1 otherwise; Ctrl+C leaves the run going, says how to come back, and gives 130."""
    _hear_interruptions()
    try:
        run = follow(client, workspace, run_id, sys.stderr)
    except KeyboardInterrupt:
        print(f"\nthe run goes on. Come back with: tiller   or: tiller wait {run_id}", file=sys.stderr)
        return 130
    for line in summary_lines(run):
        print(line, file=sys.stderr)
    failed = [task for task in run["tasks"] if task["state"] in {"failed", "timed_out", "lost"} and task["attempt"]]
    for task in failed[:_SHOWN_LOGS]:
        _show_last_words(workspace, run_id, task)
    return 0 if all(task["state"] in {"succeeded", "cached"} for task in run["tasks"]) else 1


def _hear_interruptions() -> None:
    """TERM counts as Ctrl+C. So does Ctrl+C itself on a terminal, even when a background job of a shell, which ignores it, is
    an ancestor of ours."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.stdin.isatty():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _show_last_words(workspace: Path, run_id: str, task: dict[str, Any]) -> None:
    base = attempt_base(workspace / "logs" / run_id, task["id"], task["attempt"])
    try:
        with base.with_name(f"{base.name}.log").open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
    except OSError:
        return
    lines = clean_for_terminal(tail).splitlines()[-_SHOWN_LINES:]
    if lines:
        print(f"\nlast lines of {task['id']} (tiller logs {run_id} {task['id']}):", file=sys.stderr)
        print("\n".join(f"  {line}" for line in lines), file=sys.stderr)
