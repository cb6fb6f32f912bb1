"""How runs and tasks look to clients: the JSON of `tiller status` and of events. Pure functions of run states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpu_graph.addresses import url_of
from gpu_graph.run_folder import run_name
from gpu_graph.state import RunState, TaskRun

Reason = Callable[[TaskRun], str | None]
Progress = Callable[[TaskRun], Mapping[str, Any] | None]


def task_view(task: TaskRun, reason: Reason, progress: Progress) -> dict[str, Any]:
    """One task; times in seconds since the epoch, absent values null, progress the last `{done, total, label}` it told.

    url: where a service answers, while it is ready.
    """
    return {
        "id": task.spec.id,
        "state": str(task.state),
        "reason": "being cancelled" if task.stopping == "cancelled" and task.ended_at is None else reason(task),
        "attempt": task.attempt,
        "devices": list(task.devices),
        "exit_code": task.exit_code,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "after": list(task.spec.after),
        "progress": progress(task),
        "labels": dict(task.spec.labels),
        "kind": task.spec.kind,
        "url": url_of(task.port) if task.ready else None,
    }


def run_view(state: RunState, *, host: str, workspace: str, stopped: bool = False) -> dict[str, Any]:
    """One run without its tasks. stopped: its server lives elsewhere or is gone, so it is only shown."""
    times = [task.ended_at for task in state.tasks.values() if task.ended_at is not None] if state.ended else []
    return {
        "id": state.id,
        "name": run_name(state.id),
        "state": state.state,
        "host": host,
        "workspace": workspace,
        "counts": {str(kind): count for kind, count in state.counts.items() if count},
        "created_at": state.created,
        "ended_at": max(times) if times else None,
        "adopted": not stopped,
    }


def no_reason(task: TaskRun) -> str | None:
    """For runs that no scheduler holds: what the journal says."""
    return task.reason


def no_progress(_task: TaskRun) -> None:
    """For runs that have ended."""
    return
