"""Following a run on a plain stream: one line for each change worth reading, a line of counts that moves on a terminal.

The same lines serve `tiller run`, `tiller wait` and `gpu_graph.run`. It survives the server: when that goes, the next one
is started or found, and the run is followed on. Ending the follower never touches the run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from gpu_graph.client import Client
from gpu_graph.errors import GraphError, ServerError
from gpu_graph.state import ENDED, LETTERS, TaskState

_MANY = 60
"""A run with more tasks than this shows only its troubles, and counts now and then."""

_COUNT_SECONDS = 5.0
_GOOD_ENDS = {"succeeded", "cached"}


def follow(client: Client, workspace: Path, run_id: str, stream: TextIO) -> dict[str, Any]:
    """Print the run's progress until it has ended; returns its last view, with tasks. Closes the client."""
    printer = _Printer(stream)
    while True:
        try:
            for event in client.subscribe(workspace=workspace, run=run_id):
                printer.show(event)
                if printer.ended:
                    client.close()
                    return printer.view()
                if not event["run"]["adopted"]:
                    client.close()
                    raise GraphError(f"run {run_id} is not this server's; it runs on {event['run']['host']}: follow it there")
        except ServerError:
            client.close()
            printer.clear()
            client = Client.connect()


def summary_lines(run: Mapping[str, Any]) -> list[str]:
    """What to say when a run has ended: its outcome, and every task that needs a look, with its reason."""
    tasks: list[dict[str, Any]] = run["tasks"]
    counts = ", ".join(f"{count} {state}" for state, count in run["counts"].items())
    seconds = (run["ended_at"] or time.time()) - run["created_at"]
    lines = [f"run {run['id']} {run['state']} after {duration(seconds)}: {counts}"]
    bad = [task for task in tasks if task["state"] not in _GOOD_ENDS | {"skipped"}]
    lines += [task_line(task) for task in bad[:20]]
    if len(bad) > 20:
        lines.append(f"  … and {len(bad) - 20} more; tiller status {run['id']} lists them")
    return lines


def task_line(task: Mapping[str, Any]) -> str:
    """One task in one line: letter, id, where and how long, or why."""
    letter = LETTERS[TaskState(task["state"])]
    if task["state"] in {"running", "starting"}:
        said = printable(task["reason"] or "") if task["kind"] == "service" else " ".join(task["devices"])
    elif task["state"] in _GOOD_ENDS:
        said = duration(task["ended_at"] - task["started_at"]) if task["started_at"] and task["ended_at"] else ""
    else:
        said = printable(task["reason"] or "")
    attempt = f"  attempt {task['attempt']}" if task["attempt"] > 1 else ""
    return f"  {letter} {task['id']:<28} {said}{attempt}".rstrip()


def duration(seconds: float) -> str:
    """As people read it: 0.8s, 42s, 4m12, 1h12, 3d4h."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes:02d}"
    return f"{minutes}m{whole:02d}" if minutes else f"{whole}s"


def printable(text: str) -> str:
    """Text from outside on one line, with no control characters."""
    return "".join(char if char.isprintable() else " " for char in text)


class _Printer:
    """Turns events into lines; keeps the run's last known view."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._tasks: dict[str, dict[str, Any]] = {}
        self._said: dict[str, tuple[str, int, str]] = {}
        self._counted_at = time.monotonic()
        self._run: dict[str, Any] = {}
        self.ended = False

    def show(self, event: Mapping[str, Any]) -> None:
        run: dict[str, Any] = event["run"]
        if "tasks" in run:
            self._tasks = {task["id"]: task for task in run["tasks"]}
            fresh = run["tasks"]
        else:
            fresh = [event["task"]] if "task" in event else []
            self._tasks.update((task["id"], task) for task in fresh)
        self._run = run
        for task in fresh:
            self._tell(task)
        self.ended = run["state"] in {"succeeded", "failed", "cancelled"} and all(
            TaskState(task["state"]) in ENDED for task in self._tasks.values()
        )
        self._count()

    def view(self) -> dict[str, Any]:
        """The run as it was last told, with its tasks."""
        return {**self._run, "tasks": list(self._tasks.values())}

    def clear(self) -> None:
        """Take the moving line away."""
        if self._live:
            self._write("\r\x1b[K")

    def _tell(self, task: Mapping[str, Any]) -> None:
        state = task["state"]
        phase = (task["reason"] or "").partition(" ")[0] if task["kind"] == "service" else ""  # starting, ready, stopping
        now = (state, task["attempt"], phase)
        if state in {"waiting", "starting"} or self._said.get(task["id"]) == now:
            return
        self._said[task["id"]] = now
        if len(self._tasks) <= _MANY or state not in {"running", *_GOOD_ENDS, "skipped"}:
            self.clear()
            self._write(task_line(task) + "\n")

    def _count(self) -> None:
        counts: dict[str, int] = self._run["counts"]
        done = sum(counts.get(state, 0) for state in _GOOD_ENDS)
        rest = ", ".join(f"{n} {state}" for state, n in counts.items() if state not in _GOOD_ENDS)
        line = f"{done}/{len(self._tasks)} done" + (f", {rest}" if rest else "")
        now = time.monotonic()
        if self._live and not self.ended:
            self._write(f"\r\x1b[K  {line}")
        elif self.ended:
            self.clear()
        elif len(self._tasks) > _MANY and now - self._counted_at > _COUNT_SECONDS:
            self._counted_at = now
            self._write(f"  {line}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
