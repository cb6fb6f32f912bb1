"""Why a task is where it is, in a person's words. Pure functions; nothing here decides anything."""

from __future__ import annotations

from collections.abc import Collection

from gpu_graph.addresses import url_of
from gpu_graph.placement import Inventory, count_of, waiting_reason
from gpu_graph.room import Room, Verdict
from gpu_graph.run_book import RunBook
from gpu_graph.spec import TaskSpec
from gpu_graph.state import ACTIVE, GOOD, TaskRun, TaskState

WAS = {
    TaskState.FAILED: "failed",
    TaskState.TIMED_OUT: "timed out",
    TaskState.CANCELLED: "was cancelled",
    TaskState.LOST: "was lost",
    TaskState.SKIPPED: "was skipped",
}
"""How a task's ending reads as the cause of another's."""

NOT_NEEDED = "nothing needs it any more"


def why_ended(outcome: str, exit_code: int | None, spec: TaskSpec) -> str | None:
    if outcome == "timed_out":
        return f"ran longer than its timeout of {spec.timeout:g} s"
    if outcome == "failed" and exit_code is not None:
        return f"exit {exit_code}" if exit_code <= 128 else f"exit {exit_code} (signal {exit_code - 128})"
    return None


def why_waiting(run: RunBook, task: TaskRun, free: Collection[str], inventory: Inventory, room: Room) -> str:
    """Of a task that has not started, or waits to be started again."""
    tasks, name = run.state.tasks, task.spec.id
    needs = [need for need in dict.fromkeys(task.spec.after) if not (tasks[need].state in GOOD or tasks[need].ready)]
    again = f"to be started again ({task.reason}); " if run.is_service(name) and task.failures else ""
    if needs:
        form = "{} ({})" if len(needs) > 1 else "{}, which {}"
        told = [form.format(need, _doing(run, need)) if run.is_service(need) else need for need in needs[:3]]
        more = f" and {len(needs) - 3} more" if len(needs) > 3 else ""
        return f"{again}needs {', '.join(told)}{more}"
    if run.is_service(name):
        if not run.calls[name]:
            return f"{again}starts with the first of {count_of(run.wanted[name], 'task')} that can use it"
        verdict = room.verdict(run, name)
        if verdict is Verdict.ALONE and (need := room.tight_need(run, name)) is not None:
            return f"waits for {run.task_with(need, name)}, which would not fit beside it"
        if verdict is Verdict.BESIDE:
            return f"waits for {_others(run, room)}: not all that must run would fit beside both"
    return again + waiting_reason(run.need(name), free, inventory)


def why_up(run: RunBook, task: TaskRun) -> str | None:
    """Of a service that is starting or running."""
    url = url_of(task.port)
    if task.stopping:
        why = NOT_NEEDED if task.stopping == "succeeded" else why_ended(task.stopping, None, task.spec) or task.reason
        return f"stopping: {why}"
    if task.ready:
        return f"ready at {url}, needed by {count_of(run.wanted[task.spec.id], 'task')}"
    starting = f"starting again (restart {task.failures} of {task.spec.retries})" if task.failures else "starting"
    if task.spec.ready.startswith("/"):
        return f"{starting}: {url}{task.spec.ready} does not answer yet"
    return f"{starting}: no line of its log matches {task.spec.ready.removeprefix('log:')!r} yet"


def _doing(run: RunBook, service: str) -> str:
    return "is starting" if run.state.tasks[service].state in ACTIVE else "waits"


def _others(run: RunBook, room: Room) -> str:
    run_id, name = next(iter(room.inside))
    return f"service {name}" if run_id == run.state.id else f"service {name} of run {run_id}"
