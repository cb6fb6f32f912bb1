"""Nothing is lost and nothing runs twice: real servers, supervisors and tasks, killed at bad moments."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

import gpu_graph
from gpu_graph import Graph
from gpu_graph.client import Client
from gpu_graph.journal import decode, encode

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("deep", "w").write(f"{os.getpid()}\\n")
        while True:
            time.sleep(1)
    os._exit(0)
os.wait()
while True:
    time.sleep(1)
"""
"""Ignores TERM, and has a grandchild in another session, whose parent has left it, which ignores TERM too."""


def forget(journal: Path, kind: str) -> None:
    """Leave the journal as it was before its first record of this kind."""
    lines = journal.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if f'"type":"{kind}"'.encode() in line)
    journal.write_bytes(b"".join(lines[:at]))


def is_supervisor(pid: int) -> bool:
    try:
        return b"tiller-supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


@pytest.fixture
def stubborn(bench):
    """A command that only KILL ends; it writes the pid of its far grandchild to the file `deep`."""
    (bench.work / "stubborn.py").write_text(STUBBORN)
    return ["python", "stubborn.py"]


def test_a_killed_servers_tasks_go_on_and_the_next_server_takes_them_over(bench):
    graph = Graph("g")
    for name in "ab":
        first = graph.shell(f"{name}1", f"echo {name}1 >> ran; until test -e go; do sleep 0.05; done")
        graph.shell(f"{name}2", f"echo {name}2 >> ran", after=[first])
    run = bench.submit(graph)
    bench.until(lambda: len(bench.marks("ran")) == 2, "both tasks run")
    supervisors = {name: bench.supervisor(run, name) for name in ("a1", "b1")}
    killed = bench.kill_server()
    assert bench.states(run) == {"a1": "running", "a2": "waiting", "b1": "running", "b2": "waiting"}
    assert bench.server_pid() != killed
    (bench.work / "go").touch()
    view = bench.ended(run)
    assert view["state"] == "succeeded"
    assert sorted(bench.marks("ran")) == ["a1", "a2", "b1", "b2"]
    assert {name: bench.supervisor(run, name) for name in supervisors} == supervisors
    assert all(task["attempt"] == 1 for task in view["tasks"])


def test_what_ended_while_no_server_lived_is_taken_from_its_exit_status(bench):
    graph = Graph("g")
    graph.shell("good", "until test -e go; do sleep 0.05; done")
    graph.shell("bad", "until test -e go; do sleep 0.05; done; exit 7")
    graph.shell("next", "echo next >> ran", after=["good"])
    run = bench.submit(graph)
    pids = [bench.supervisor(run, "good"), bench.supervisor(run, "bad")]
    bench.kill_server()
    (bench.work / "go").touch()
    bench.until(lambda: not set(pids) & set(bench.processes()), "the tasks ended without a server")
    view = bench.ended(run)
    assert bench.states(run) == {"good": "succeeded", "bad": "failed", "next": "succeeded"}
    bad = next(task for task in view["tasks"] if task["id"] == "bad")
    assert (bad["exit_code"], bad["attempt"]) == (7, 1)
    assert bad["started_at"] <= bad["ended_at"]


def test_an_intent_that_was_never_carried_out_is_carried_out_once_by_the_next_server(bench):
    """The journal says `starting`, but the server died before it spawned anything: as if it had been killed in between."""
    run = bench.shell("echo ran >> ran; until test -e go; do sleep 0.05; done", retries=0)
    pid = bench.supervisor(run)
    bench.kill_server()
    os.killpg(pid, signal.SIGKILL)
    bench.until(lambda: not bench.task_processes(), "the attempt is gone")
    (bench.folder(run) / "task" / "1.pid").unlink()
    forget(bench.folder(run) / "journal.jsonl", "started")
    (bench.work / "ran").unlink(missing_ok=True)
    (bench.work / "go").touch()
    assert bench.ended(run)["state"] == "succeeded"
    task = bench.task(run)
    assert task["attempt"] == 2, "the first attempt was claimed, so that a late supervisor stops"
    assert (bench.folder(run) / "task" / "1.pid").read_text().startswith("claimed")
    assert bench.marks("ran") == ["ran"]


def test_an_attempt_of_before_a_reboot_is_lost_also_when_its_files_never_reached_the_disk(bench):
    """A machine that went down: another boot id in the journal, and no file that the supervisor had just made."""
    run = bench.shell("echo ran >> ran; until test -e go; do sleep 0.05; done")
    pid = bench.supervisor(run)
    bench.until(lambda: bench.marks("ran"), "it has run a little")
    bench.kill_server()
    os.killpg(pid, signal.SIGKILL)
    bench.until(lambda: not bench.task_processes(), "nothing survives a reboot")
    (bench.folder(run) / "task" / "1.pid").unlink()
    path = bench.folder(run) / "journal.jsonl"
    forget(path, "started")
    opened, server, *rest = [decode(line) for line in path.read_bytes().splitlines(keepends=True)]
    path.write_bytes(b"".join(encode(record) for record in (opened, {**server, "boot": "an earlier one"}, *rest)))
    bench.ended(run)
    assert bench.task(run)["state"] == "lost"
    assert bench.marks("ran") == ["ran"]


def test_a_running_attempt_whose_files_were_removed_is_lost_and_not_run_again(bench):
    run = bench.shell("echo ran >> ran; until test -e go; do sleep 0.05; done", gpus=4)
    bench.supervisor(run)
    bench.until(lambda: bench.task(run)["state"] == "running" and bench.marks("ran"), "it runs")
    bench.kill_server()
    (bench.folder(run) / "task" / "1.pid").unlink()
    bench.until(lambda: bench.task(run)["state"] == "lost", "the next server does not find it")
    assert all(gpu["holder"] for gpu in bench.ask("devices")["gpus"])
    (bench.work / "go").touch()
    bench.until(
        lambda: not any(gpu["holder"] for gpu in bench.ask("devices")["gpus"]), "its devices are free when it has ended"
    )
    assert bench.marks("ran") == ["ran"]


def test_a_late_supervisor_of_a_claimed_attempt_does_nothing(bench, tmp_path):
    script = Path(gpu_graph.__file__).with_name("supervisor.sh").read_text()
    base = tmp_path / "1"
    (tmp_path / "1.pid").write_text("claimed by a later server\n")
    status = os.spawnv(
        os.P_WAIT, "/bin/sh", ["sh", "-c", script, "x", str(base), str(tmp_path), "touch", str(tmp_path / "ran")]
    )
    assert status == 122
    assert not (tmp_path / "ran").exists()


def test_a_killed_supervisors_task_is_lost_and_its_devices_wait_for_its_last_process(bench):
    graph = Graph("g")
    graph.shell("doomed", "sleep 600 & echo $! > orphan; wait", gpus=4, retries=3)
    graph.shell("waits", "true", gpus=4)
    graph.shell("after", "true", after=["doomed"], gpus=0)
    run = bench.submit(graph)
    orphan = int(bench.file("orphan"))
    supervisor = bench.supervisor(run, "doomed")
    shell = int(Path(f"/proc/{orphan}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    bench.until(lambda: bench.states(run)["doomed"] == "lost", "the attempt is lost")
    assert bench.states(run) == {"doomed": "lost", "waits": "waiting", "after": "skipped"}
    bench.kill_server()  # the quarantine outlives the server
    assert bench.states(run)["waits"] == "waiting"
    os.kill(shell, signal.SIGKILL)
    assert bench.states(run)["waits"] == "waiting"
    os.kill(orphan, signal.SIGKILL)
    assert bench.ended(run)["state"] == "failed"
    assert bench.states(run)["waits"] == "succeeded"


def test_cancel_ends_the_processes_that_a_lost_attempt_left(bench):
    run = bench.shell("sleep 600 & echo $! > orphan; wait")
    bench.file("orphan")
    os.kill(bench.supervisor(run), signal.SIGKILL)
    bench.until(lambda: bench.task(run)["state"] == "lost", "the attempt is lost")
    assert bench.task_processes()
    bench.cancel(run)
    bench.until(lambda: not bench.task_processes(), "what was left has ended")
    bench.until(lambda: not any(gpu["holder"] for gpu in bench.ask("devices")["gpus"]), "its device is free")
    assert bench.task(run)["state"] == "lost"


def test_a_cancel_reaches_the_whole_tree_also_when_its_server_is_killed_within_the_grace(bench, stubborn):
    run = bench.shell(stubborn)
    bench.file("deep")
    bench.cancel(run)
    assert bench.task(run)["reason"] == "being cancelled"
    bench.kill_server()
    assert bench.ended(run)["state"] == "cancelled"
    assert not bench.task_processes()


def test_a_timeout_that_passed_while_no_server_lived_is_enforced_by_the_next(bench):
    run = bench.shell("sleep 600", timeout="1s")
    pid = bench.supervisor(run)
    bench.until(lambda: bench.task(run)["state"] == "running", "it runs")
    bench.kill_server()
    began = (bench.folder(run) / "task" / "1.pid").stat().st_mtime
    bench.until(lambda: time.time() > began + 1, "its time is over")
    assert pid in bench.processes()
    view = bench.ended(run)
    assert view["tasks"][0]["state"] == "timed_out"
    assert not bench.task_processes()


def test_server_stop_leaves_tasks_running_and_the_next_command_takes_over(bench):
    run = bench.shell("echo ran >> ran; until test -e go; do sleep 0.05; done")
    bench.until(lambda: bench.marks("ran"), "it runs")
    done = bench.tiller("server", "stop")
    assert done.returncode == 0
    assert "1 task goes on" in done.stdout
    assert bench.task_processes()
    (bench.work / "go").touch()
    assert bench.ended(run)["state"] == "succeeded"
    assert bench.marks("ran") == ["ran"]


def test_server_stop_with_cancel_ends_everything(bench):
    bench.shell("echo ran >> ran; sleep 600")
    bench.until(lambda: bench.marks("ran"), "it runs")
    assert bench.tiller("server", "stop", "--cancel").returncode == 0
    assert not bench.processes()
    assert bench.ended()["state"] == "cancelled"


def test_no_gpu_of_a_running_task_is_given_to_another_run_after_a_restart(bench):
    """The first run waits for GPUs that the second run's task holds when the server is killed."""
    graph = Graph("first")
    graph.shell("gate", "until test -e open; do sleep 0.05; done", gpus=2)
    graph.shell("wide", "echo wide >> ran", after=["gate"], gpus=4)
    first = bench.submit(graph)
    second = bench.shell("echo second >> ran; until test -e go; do sleep 0.05; done", gpus=2)
    bench.until(lambda: bench.marks("ran"), "the second run's task holds its GPUs")
    supervisor = bench.supervisor(first, "gate")
    bench.kill_server()
    (bench.work / "open").touch()
    bench.until(lambda: supervisor not in bench.processes(), "the gate has ended without a server")
    bench.until(lambda: bench.states(first)["gate"] == "succeeded", "the new server knows")
    assert bench.task(first, "wide")["reason"] == "needs 4 GPUs, 2 of 4 free"
    (bench.work / "go").touch()
    assert bench.ended(first)["state"] == bench.ended(second)["state"] == "succeeded"
    assert bench.marks("ran") == ["second", "wide"]


def test_a_damaged_submission_or_an_unreachable_workspace_keeps_no_server_from_starting_and_loses_no_run(bench):
    run = bench.shell("echo ran >> ran; until test -e go; do sleep 0.05; done")
    bench.until(lambda: bench.marks("ran"), "it is in its working directory")
    bench.kill_server()
    (bench.state / "active" / "20261120-000000-odd-0000.json").write_text("{")
    away = bench.work.with_name("away")
    bench.work.rename(away)  # as a file system that is not mounted yet
    assert bench.ask("devices")["gpus"]
    bench.kill_server()
    away.rename(bench.work)
    (bench.work / "go").touch()
    assert bench.ended(run)["state"] == "succeeded"


def test_a_torn_last_journal_line_is_cut_and_the_run_goes_on(bench):
    run = bench.shell("until test -e go; do sleep 0.05; done")
    bench.supervisor(run)
    bench.kill_server()
    with (bench.folder(run) / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"type":"succeeded","task":"task","at":1')
    assert bench.task(run)["state"] == "running"
    (bench.work / "go").touch()
    assert bench.ended(run)["state"] == "succeeded"


@pytest.mark.slow
def test_random_kills_of_servers_and_supervisors_lose_nothing_else_and_repeat_nothing(bench):
    """100 kills. Each attempt marks its start and end; only a killed supervisor may lose its task."""
    rng = random.Random(7)
    killed_supervisors = kills = 0
    graph = Graph("chaos")
    for i in range(500):
        after = [f"t{rng.randrange(i)}"] if i and rng.random() < 0.3 else []
        command = f"echo t{i}.$TILLER_ATTEMPT >> ran; sleep {rng.uniform(0.05, 0.6):.2f}; echo t{i} >> done"
        graph.shell(f"t{i}", command, after=after, gpus=rng.choice([0, 1, 1, 2]), retries=0)
    run = bench.submit(graph)
    while kills < 100 and bench.status(run)["state"] in {"queued", "running"}:
        if rng.random() < 0.85:
            bench.kill_server()
        else:
            supervisors = [pid for pid in bench.task_processes() if is_supervisor(pid)]
            if not supervisors:
                continue
            os.kill(rng.choice(supervisors), signal.SIGKILL)
            killed_supervisors += 1
        kills += 1
        time.sleep(rng.uniform(0, 0.15))  # the moment of the next kill is part of the chaos
    assert kills == 100, "the run was too short for all kills"
    view = bench.ended(run, seconds=600)
    lost = [task["id"] for task in view["tasks"] if task["state"] == "lost"]
    ran = bench.marks("ran")
    assert len(ran) == len(set(ran)), "an attempt ran twice"
    assert len(lost) <= killed_supervisors
    assert {task["state"] for task in view["tasks"]} <= {"succeeded", "lost", "skipped"}
    finished = set(bench.marks("done"))
    assert {task["id"] for task in view["tasks"] if task["state"] == "succeeded"} <= finished
    with Client.connect() as client:
        assert not [gpu for gpu in client.request("devices")["gpus"] if gpu["holder"]]
