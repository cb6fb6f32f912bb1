"""What the server answers: one function per operation of the protocol, request fields in, JSON result out.

Each is small and synchronous: work that lasts belongs to the host. A field that is missing or of the wrong type is refused
by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from gpu_graph import run_folder
from gpu_graph.errors import GraphError
from gpu_graph.server.history import History
from gpu_graph.server.host import Host
from gpu_graph.views import no_progress, no_reason, run_view, task_view
from gpu_graph.workspace import match_run

Request = Mapping[str, Any]


class Handlers:
    """The operations over one host. `operations` is the protocol's list of verbs."""

    def __init__(self, host: Host, history: History) -> None:
        self._host = host
        self._history = history
        self.operations: dict[str, Callable[[Request], Any]] = {
            "submit": self._submit,
            "check": self._check,
            "runs": self._runs,
            "status": self._status,
            "cancel": self._cancel,
            "devices": self._devices,
        }

    # --- operations ----------------------------------------------------------------------------------------------------

    def _submit(self, request: Request) -> dict[str, Any]:
        """`{submission, sha256}` → `{run}`: take in a submission file and start its run."""
        return {"run": self._host.submit(_text(request, "submission"), _text(request, "sha256"))}

    def _check(self, request: Request) -> dict[str, Any]:
        """`{submission, sha256}` → `{problems}`: what would refuse it, without starting anything."""
        return {"problems": self._host.check(_text(request, "submission"), _text(request, "sha256"))}

    def _runs(self, request: Request) -> dict[str, Any]:
        """`{workspace | null}` → `{runs, seq}`: all runs without their tasks, oldest first; null: of every known workspace."""
        folders = [_folder(request)] if request.get("workspace") is not None else self._host.workspaces.present()
        views = [self.run_summary(folder, run_id) for folder in folders for run_id in run_folder.list_runs(folder)]
        shown = [view for view in views if view is not None]
        return {"runs": sorted(shown, key=lambda view: (view["created_at"], view["id"])), "seq": self._host.publisher.seq}

    def _status(self, request: Request) -> dict[str, Any]:
        """`{workspace, run}` → one run with its tasks; `run` is an id, a unique prefix or suffix, or "last".

        `{tasks}`: only these, so that looking at one task of a large run again and again costs little.
        """
        workspace, run_id = self.find_run(_folder(request), _text(request, "run"))
        return self.run_with_tasks(workspace, run_id, _tasks(request))

    def _cancel(self, request: Request) -> dict[str, Any]:
        """`{workspace, run, tasks | null}` → `{run, cancelled: [task ids]}`: end these tasks, or the whole run."""
        _, run_id = self.find_run(_folder(request), _text(request, "run"))
        tasks = _tasks(request)
        run = self._host.runs.get(run_id)
        if run is None:
            raise GraphError(f"run {run_id} has ended or belongs to another server: there is nothing to cancel")
        known = run.state.tasks
        unknown = [task_id for task_id in tasks or () if task_id not in known]
        if unknown:
            raise GraphError(f"run {run_id} has no task {unknown[0]!r}; tiller status {run_id} lists them")
        over = [task_id for task_id in tasks or () if self._host.is_over(run_id, known[task_id])]
        if over:
            raise GraphError(f"task {over[0]!r} of {run_id} has ended already ({known[over[0]].state})")
        wanted = [name for name in (known if tasks is None else tasks) if not self._host.is_over(run_id, known[name])]
        self._host.cancel(run_id, None if tasks is None else tuple(wanted))
        return {"run": run_id, "cancelled": wanted}

    def _devices(self, _request: Request) -> dict[str, Any]:
        """→ `{gpus: […], slots: […]}`: every device, who holds it, and a GPU's readings."""
        holders = self._host.holders()
        inventory = self._host.inventory
        gpus: list[dict[str, Any]] = []
        for gpu in inventory.gpus:
            reading = self._host.provider.reading(gpu)
            gpus.append(
                {
                    "id": gpu.id,
                    "index": gpu.index,
                    "name": gpu.name,
                    "memory": gpu.memory,
                    "memory_used": reading.memory_used,
                    "busy": reading.busy,
                    "temperature": reading.temperature,
                    "power": reading.power,
                    "holder": _holder(holders.get(gpu.id)),
                }
            )
        slots = [{"id": slot.id, "index": slot.index, "holder": _holder(holders.get(slot.id))} for slot in inventory.slots]
        return {"gpus": gpus, "slots": slots, "host": self._host.hostname}

    def subscription(self, request: Request) -> tuple[Path, str | None, int | None]:
        """(workspace, run id or None for all, the last seq that the reader knows or None) of a subscribe request."""
        workspace, run_id, from_seq = _folder(request), None, request.get("from_seq")
        if request.get("run") is not None:
            workspace, run_id = self.find_run(workspace, _text(request, "run"))
        if from_seq is not None and not isinstance(from_seq, int):
            raise GraphError(f"the request's 'from_seq' is {from_seq!r}, not a whole number")
        return workspace, run_id, from_seq

    # --- shared with subscriptions -------------------------------------------------------------------------------------

    def find_run(self, workspace: Path, selector: str) -> tuple[Path, str]:
        """The run that a person means: a full id of any run that this server has held, else one of this workspace."""
        home = self._host.workspace_of.get(selector)
        if home is not None:
            return home, selector
        ids = run_folder.list_runs(workspace)
        if selector == "last":
            ids = sorted(ids, key=lambda run_id: self._created(workspace, run_id))
        return workspace, match_run(selector, ids)

    def run_summary(self, workspace: Path, run_id: str) -> dict[str, Any] | None:
        """One run without its tasks; None for a folder that is no readable run."""
        living = self._host.runs.get(run_id)
        if living is not None:
            return run_view(living.state, host=self._host.hostname, workspace=living.submission.workspace)
        return self._history.summary(workspace / "logs" / run_id)

    def run_with_tasks(self, workspace: Path, run_id: str, only: list[str] | None = None) -> dict[str, Any]:
        """One run with its tasks, or with `only` these of them, and the seq of the last event that it includes."""
        living = self._host.runs.get(run_id)
        if living is None:
            stored = run_folder.load_run(workspace / "logs" / run_id)
            view = self._history.view(stored, workspace)
            known = stored.state.tasks
            tasks = [task_view(known[name], no_reason, no_progress) for name in _chosen(known, only)]
        else:
            view = run_view(living.state, host=self._host.hostname, workspace=living.submission.workspace)
            tasks = [self.live_task(run_id, name) for name in _chosen(living.state.tasks, only)]
        return {**view, "seq": self._host.publisher.seq, "tasks": tasks}

    def live_task(self, run_id: str, task_id: str) -> dict[str, Any]:
        host = self._host
        task = host.runs[run_id].state.tasks[task_id]
        return task_view(task, lambda of: host.reason(run_id, of), lambda of: host.progress(run_id, of))

    def _created(self, workspace: Path, run_id: str) -> tuple[float, str]:
        view = self.run_summary(workspace, run_id)
        return (view["created_at"] if view else 0.0, run_id)


def _holder(holder: tuple[str, str] | None) -> dict[str, str] | None:
    return None if holder is None else {"run": holder[0], "task": holder[1]}


def _chosen(known: Iterable[str], only: list[str] | None) -> list[str]:
    return [name for name in known if only is None or name in only]


def _folder(request: Request) -> Path:
    folder = Path(_text(request, "workspace"))
    if not folder.is_absolute() or "\0" in str(folder):
        raise GraphError(f"the request's 'workspace' is {str(folder)!r}, not an absolute path")
    return folder


def _tasks(request: Request) -> list[str] | None:
    value = request.get("tasks")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) for word in cast("list[Any]", value)):
        raise GraphError("the request's 'tasks' is not a list of task ids")
    return cast("list[str]", value)


def _text(request: Request, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise GraphError(f"the request's {name!r} is {value!r}, not a text")
    return value
