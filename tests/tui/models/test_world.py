"""The reduction of what the server says: order of meaning, not of arrival."""

from pathlib import Path
from typing import Any

import pytest

from tui.models.world import Task, World

HERE = Path("/workspace")


def run(name: str = "r", state: str = "running", counts: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "state": state,
        "host": "h",
        "workspace": str(HERE),
        "counts": counts or {"running": 1},
        "created_at": 1.0,
        "ended_at": None,
        "adopted": True,
        **more,
    }


def task(name: str = "t", state: str = "running", **more: Any) -> dict[str, Any]:
    fields = {"reason": None, "attempt": 1, "devices": [], "exit_code": None, "started_at": None, "ended_at": None, "after": []}
    return {"id": name, "state": state, "progress": None, "labels": {}, **fields, **more}


def snapshot(*runs: dict[str, Any], seq: int = 0) -> dict[str, Any]:
    return {"kind": "snapshot", "seq": seq, "runs": list(runs)}


def status(*tasks: dict[str, Any], seq: int) -> dict[str, Any]:
    return {"kind": "status", "seq": seq, "run": run(tasks=list(tasks))}


@pytest.fixture
def world() -> World:
    world = World(HERE)
    world.apply(snapshot(run()))
    return world


def test_a_snapshot_replaces_the_list_of_runs(world: World) -> None:
    world.apply(snapshot(run("other"), seq=1))
    assert list(world.runs) == ["other"]
    assert world.loaded


def test_runs_of_other_workspaces_are_not_ours(world: World) -> None:
    world.apply({"kind": "run", "seq": 1, "run": run("foreign", workspace="/elsewhere")})
    assert list(world.runs) == ["r"]


def test_a_task_event_changes_a_known_task(world: World) -> None:
    world.apply(status(task(), seq=1))
    world.apply({"kind": "task", "seq": 2, "run": run(), "task": task(state="succeeded")})
    assert world.tasks["r"]["t"].state == "succeeded"


def test_an_older_reply_never_replaces_a_newer_event(world: World) -> None:
    world.apply(status(task(), seq=1))
    world.apply({"kind": "task", "seq": 9, "run": run(), "task": task(state="succeeded")})
    world.apply(status(task(state="running"), seq=5))
    assert world.tasks["r"]["t"].state == "succeeded"


def test_a_new_server_counts_from_anew(world: World) -> None:
    world.apply(status(task(), seq=50))
    world.begin()
    world.apply(status(task(state="failed"), seq=1))
    assert world.tasks["r"]["t"].state == "failed"


def test_tasks_known_before_a_new_snapshot_are_shown_but_stale(world: World) -> None:
    world.apply(status(task(), seq=1))
    world.apply(snapshot(run(), seq=2))
    assert "t" in world.tasks["r"]
    assert world.stale == {"r"}
    world.apply(status(task(), seq=3))
    assert not world.stale


def test_the_version_rises_only_when_something_changed(world: World) -> None:
    world.apply(status(task(), seq=1))
    before = world.version
    world.apply(status(task(), seq=2))
    assert world.version == before
    world.apply({"kind": "ended", "seq": 3, "run": run(state="succeeded", tasks=[task(state="succeeded")])})
    assert world.version > before
    assert world.runs["r"].state == "succeeded"


@pytest.mark.parametrize(
    "progress",
    [None, 3, [], {}, {"done": 1}, {"done": "x", "total": 2}, {"done": 1, "total": 0}, {"done": None, "total": None}],
)
def test_nonsense_in_a_progress_file_is_no_progress(progress: object) -> None:
    assert Task.of(task(progress=progress)).progress is None


def test_progress_is_read() -> None:
    progress = Task.of(task(progress={"done": 1, "total": 4, "label": 7})).progress
    assert progress is not None
    assert progress.share == 0.25
    assert progress.label == ""
