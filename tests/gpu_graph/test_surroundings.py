"""Where things are and what tasks get: workspaces, run selectors, the state folder, devices, environments."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

import pynvml
import pytest

from gpu_graph.devices import FakeGpus, NoGpus, find_inventory, find_provider
from gpu_graph.errors import GraphError, ServerError
from gpu_graph.local import Attempt
from gpu_graph.paths import socket_path, state_dir
from gpu_graph.placement import Device, Inventory
from gpu_graph.spec import TaskSpec
from gpu_graph.task_environment import task_argv, task_environment
from gpu_graph.workspace import find_workspace, match_run

RUNS = ["20261120-100000-sweep-00aa", "20261120-110000-sweep-11bb", "20261121-100000-demo-00cc"]


# --- workspaces ---


@pytest.mark.parametrize("how", ["tiller.toml", "folders"])
def test_the_nearest_workspace_above_is_found(tmp_path, how):
    inner = tmp_path / "outer" / "inner"
    (inner / "a" / "b").mkdir(parents=True)
    (tmp_path / "outer" / "tiller.toml").touch()
    if how == "tiller.toml":
        (inner / "tiller.toml").touch()
    else:
        for name in ("runs", "logs", "artifacts"):
            (inner / name).mkdir()
    assert find_workspace(inner / "a" / "b") == inner
    assert find_workspace(inner, tmp_path / "outer") == tmp_path / "outer"


def test_two_of_the_three_folders_are_no_workspace(tmp_path):
    for name in ("runs", "logs"):
        (tmp_path / name).mkdir()
    with pytest.raises(GraphError, match=r"no workspace here.*tiller init"):
        find_workspace(tmp_path)
    with pytest.raises(GraphError, match="is not a workspace"):
        find_workspace(tmp_path, tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of another user")
def test_a_workspace_planted_by_another_user_is_passed_by_with_a_warning(tmp_path):
    (tmp_path / "tiller.toml").touch()
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "tiller.toml").touch()
    os.chown(planted, 12345, 12345)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert find_workspace(planted) == tmp_path
    assert "belongs to another user" in str(said[0].message)


# --- runs by what a person types ---


@pytest.mark.parametrize(
    ("selector", "run"),
    [(RUNS[0], RUNS[0]), ("20261121", RUNS[2]), ("11bb", RUNS[1]), ("20261120-10", RUNS[0]), ("last", RUNS[2]), ("b", RUNS[1])],
)
def test_a_run_is_found_by_its_id_or_a_unique_beginning_or_end(selector, run):
    assert match_run(selector, RUNS) == run


@pytest.mark.parametrize(
    ("selector", "said"),
    [("20261120", "fits 2 runs"), ("nope", "no run 'nope'"), ("", "no run ''"), ("sweep", "no run 'sweep'")],
)
def test_no_run_and_several_are_refused(selector, said):
    with pytest.raises(GraphError, match=said):
        match_run(selector, RUNS)


def test_last_without_runs_says_how_to_start_one():
    with pytest.raises(GraphError, match="tiller run FILE"):
        match_run("last", [])


# --- the state folder ---


def test_the_state_folder_is_made_private(tmp_path, monkeypatch):
    monkeypatch.setenv("TILLER_STATE_DIR", str(tmp_path / "a" / "state"))
    assert stat.S_IMODE(state_dir().stat().st_mode) == 0o700


def test_a_state_folder_that_cannot_be_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TILLER_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(ServerError, match=r"file/state.*set TILLER_STATE_DIR"):
        state_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of another user")
def test_a_state_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    os.chown(tmp_path, 12345, 12345)
    monkeypatch.setenv("TILLER_STATE_DIR", str(tmp_path))
    with pytest.raises(ServerError, match="belongs to another user"):
        state_dir()


def test_the_socket_of_a_long_path_lies_in_a_private_folder_that_every_shell_finds(tmp_path, monkeypatch):
    state = tmp_path / ("x" * 120)
    path = socket_path(state)
    try:
        assert len(os.fsencode(path)) < 108
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        assert socket_path(state) == path
        assert socket_path(tmp_path / ("y" * 120)) != path
    finally:
        path.parent.rmdir()


# --- devices ---


def test_pretend_gpus_are_named_and_sized():
    inventory = find_inventory(find_provider({"TILLER_FAKE_GPUS": "3"}), {"TILLER_CPU_SLOTS": "5"})
    assert [gpu.id for gpu in inventory.gpus] == ["GPU-fake-0", "GPU-fake-1", "GPU-fake-2"]
    assert {gpu.memory for gpu in inventory.gpus} == {80 * 2**30}
    assert len(inventory.slots) == 5


@pytest.mark.parametrize("said", ["-1", "many", "2.5", " "])
def test_a_number_of_gpus_that_is_none_is_refused(said):
    with pytest.raises(ServerError, match=r"TILLER_FAKE_GPUS=.* is not a number of GPUs"):
        find_provider({"TILLER_FAKE_GPUS": said})


@pytest.mark.parametrize("said", ["0", "-1", "many"])
def test_a_number_of_slots_that_is_none_is_refused(said):
    with pytest.raises(ServerError, match=r"TILLER_CPU_SLOTS=.* is not a number of at least 1"):
        find_inventory(FakeGpus(1), {"TILLER_CPU_SLOTS": said})


def test_a_host_without_a_driver_has_no_gpus_and_says_why():
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        provider = find_provider({})
        assert isinstance(provider, NoGpus)
        assert provider.why
        assert find_inventory(provider, {}).gpus == ()
        assert len(find_inventory(provider, {}).slots) == len(os.sched_getaffinity(0))
    else:
        pytest.skip("this host has an NVIDIA driver")


@pytest.mark.gpu
def test_real_gpus_are_listed_with_readings():
    provider = find_provider({})
    if isinstance(provider, NoGpus):
        pytest.skip(f"no NVIDIA driver here: {provider.why}")
    for gpu in provider.gpus():
        assert gpu.id.startswith(("GPU-", "MIG-"))
        assert 0 <= provider.reading(gpu).memory_used <= gpu.memory


# --- what a task gets ---

HOST = Inventory.of([Device("GPU-a", 0, "", 80), Device("GPU-b", 1, "", 80)], slots=2)


def environment(
    task: TaskSpec, devices: tuple[str, ...], client: dict[str, str], services: dict[str, str] | None = None
) -> dict[str, str]:
    attempt = Attempt(("run", task.id, 2), Path("/w/logs/run/a/2"))
    return task_environment(
        client,
        interpreter="/venv/bin/python",
        task=task,
        attempt=attempt,
        workspace="/w",
        devices=devices,
        inventory=HOST,
        services=services or {},
    )


def test_a_task_gets_its_gpus_by_uuid_and_knows_who_it_is():
    env = environment(TaskSpec("a", cpus=3), ("GPU-a", "GPU-b"), {"HOME": "/h", "PATH": "/usr/bin", "OMP_NUM_THREADS": "64"})
    assert env["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert env["PATH"] == "/venv/bin:/usr/bin"
    assert env["OMP_NUM_THREADS"] == "3"
    assert (env["HOME"], env["PYTHONUNBUFFERED"]) == ("/h", "1")
    assert env["SPT_NOENV"] == "1", "a program that sets its title would hide from the search by TILLER_ATTEMPT_ID"
    assert (env["TILLER_RUN"], env["TILLER_TASK"], env["TILLER_ATTEMPT"]) == ("run", "a", "2")
    assert env["TILLER_ATTEMPT_ID"] == "run/a/2"
    assert env["TILLER_WORKSPACE"] == "/w"
    assert env["TILLER_PROGRESS"] == "/w/logs/run/a/2.progress"
    assert env["TILLER_ARTIFACTS"] == "/w/logs/run/a/2.artifacts"


def test_a_task_on_cpu_slots_sees_no_gpu():
    assert environment(TaskSpec("a", gpus=0), ("cpu-0",), {"CUDA_VISIBLE_DEVICES": "0"})["CUDA_VISIBLE_DEVICES"] == ""


def test_what_a_task_declares_wins_over_the_clients_environment():
    env = environment(
        TaskSpec("a", env={"X": "task", "PATH": "/own", "OMP_NUM_THREADS": "7"}), (), {"X": "client", "PATH": "/usr/bin"}
    )
    assert (env["X"], env["OMP_NUM_THREADS"], env["PATH"]) == ("task", "7", "/venv/bin:/own")


@pytest.mark.parametrize(
    ("client", "excepted"),
    [
        ({}, None),
        ({"HTTP_PROXY": ""}, None),
        ({"http_proxy": "http://proxy:3128"}, "127.0.0.1"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost,.lan"}, "localhost,.lan,127.0.0.1"),
        ({"ALL_PROXY": "http://proxy:3128", "no_proxy": "127.0.0.1,.lan"}, "127.0.0.1,.lan"),
    ],
)
def test_requests_to_a_service_do_not_go_to_the_networks_proxy(client, excepted):
    env = environment(TaskSpec("a"), (), client, {"TILLER_URL_JUDGE": "http://127.0.0.1:4000"})
    assert (env.get("no_proxy"), env.get("NO_PROXY")) == (excepted, excepted)
    assert environment(TaskSpec("a"), (), client).get("no_proxy") == client.get("no_proxy")


def test_a_text_command_runs_under_sh_and_a_list_directly():
    attempt = Attempt(("run", "a", 1), Path("/w/logs/run/a/1"))
    assert task_argv(TaskSpec("a", command="echo $X"), attempt, "python") == ("/bin/sh", "-c", "echo $X")
    assert task_argv(TaskSpec("a", command=("echo", "$X")), attempt, "python") == ("echo", "$X")
