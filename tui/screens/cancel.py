"""Cancelling a run or a task: the question, what is lost by it, and the request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpu_graph.errors import GraphError
from tui.models import words
from tui.models.text import Tone
from tui.models.world import Run, Task
from tui.safe_text import clean_name
from tui.screens.confirm import Confirm

if TYPE_CHECKING:
    from tui.app import ConsoleApp


def cancel(console: ConsoleApp, run: Run, task: Task | None, dependents: Sequence[Task] = ()) -> None:
    """Ask, then cancel the task, or the run when there is none."""
    if task is None:
        question, losses = f"Cancel the run {clean_name(run.name)}?", _losses_of_run(run)
    else:
        question, losses = f"Cancel the task {task.id}?", _losses_of_task(console, task, dependents)

    def answered(yes: bool | None) -> None:
        if yes:
            _send(console, run, task)

    console.still()
    console.push_screen(Confirm(question, losses), answered)


def _losses_of_run(run: Run) -> list[str]:
    lost: list[str] = []
    if run.running:
        lost.append(f"{words.plural(run.running, 'task')} that run{'s' if run.running == 1 else ''} now will be ended.")
    if run.waiting:
        lost.append(f"{words.plural(run.waiting, 'waiting task')} will not start.")
    if run.ended:
        lost.append(f"What {words.plural(run.ended, 'ended task')} left behind stays.")
    return lost


def _losses_of_task(console: ConsoleApp, task: Task, dependents: Sequence[Task]) -> list[str]:
    lost: list[str] = []
    if task.started_at is not None:
        where = words.device_names(task.devices, console.world.devices.index_of)
        lost.append(
            f"It has run for {words.growing(console.now() - task.started_at)} on {where or 'this host'}; it will be ended."
        )
    else:
        lost.append("It has not started.")
    if waiting := [one.id for one in dependents if one.state == "waiting"]:
        lost.append(f"What needs it will be skipped: {', '.join(waiting)}.")
    if using := [one.id for one in dependents if one.state in {"starting", "running"}]:  # of a service
        lost.append(f"What runs with it goes on without it: {', '.join(using)}.")
    return lost


def _send(console: ConsoleApp, run: Run, task: Task | None) -> None:
    name = run.name if task is None else task.id
    tasks = None if task is None else [task.id]

    def ask() -> object:
        return console.link.request("cancel", workspace=str(run.workspace), run=run.id, tasks=tasks)

    def done(_: object) -> None:
        console.say(f"{clean_name(name)} is being cancelled")

    def failed(error: GraphError) -> None:
        console.say(str(error), Tone.FAILED)

    console.in_background(f"cancel {run.id} {tasks}", ask, done, failed)
