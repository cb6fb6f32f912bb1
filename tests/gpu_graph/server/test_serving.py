"""What the server does for its clients: who may be it, what it tells, what it shows, and what it survives."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpu_graph import Graph, GraphError
from gpu_graph.client import Client, server_status
from gpu_graph.errors import ServerError
from gpu_graph.journal import encode
from gpu_graph.paths import socket_path, state_dir
from gpu_graph.protocol import MAX_FRAME
from gpu_graph.server.publisher import LIMIT


@pytest.fixture
def raw(bench):
    """A connection that speaks bytes; the server runs."""
    with Client.connect():
        pass
    opened = []

    def connect() -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(str(socket_path(state_dir())))
        line.settimeout(60)
        opened.append(line)
        return line

    yield connect
    for line in opened:
        line.close()


def events_until(client: Client, wanted, **fields):
    """The events of a subscription up to the first that `wanted` accepts."""
    seen = []
    for event in client.subscribe(**fields):
        seen.append(event)
        if wanted(event):
            return seen
    raise AssertionError("unreachable: a subscription does not end by itself")


# --- who is the server ---


def test_clients_that_race_to_start_a_server_get_the_same_one(bench):
    gate = threading.Barrier(6)

    def ask(_number: int) -> int:
        gate.wait()
        with Client.connect() as client:
            return client.greeting["pid"]

    with ThreadPoolExecutor(6) as pool:
        pids = set(pool.map(ask, range(6)))
    assert pids == {bench.server_pid()}
    servers = [pid for pid in bench.processes() if b"gpu_graph.server" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert servers == list(pids)


def test_a_removed_socket_is_made_anew_by_the_same_server(bench):
    bench.shell("sleep 600")
    pid = bench.server_pid()
    path = socket_path(state_dir())
    path.unlink()
    bench.until(path.exists, "the socket is there again")
    assert bench.server_pid() == pid
    assert bench.states() == {"task": bench.task("last")["state"]}


def test_the_socket_and_all_of_a_run_are_for_their_user_only(bench):
    run = bench.shell("echo said", gpus=0)
    bench.ended(run)
    assert socket_path(state_dir()).stat().st_mode & 0o077 == 0
    assert bench.folder(run).stat().st_mode & 0o777 == 0o700
    files = [path for path in bench.folder(run).rglob("*") if path.is_file()]
    assert {"journal.jsonl", "graph.json", "1.log", "1.pid", "1.exit"} <= {path.name for path in files}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_hung_up_on_even_where_the_folder_is_open(bench, raw):
    raw()
    path = socket_path(state_dir())
    opened = {folder: folder.stat().st_mode for folder in (path.parent, *path.parent.parents)}
    reading, writing = os.pipe()
    try:
        for folder, mode in opened.items():
            folder.chmod(mode | 0o055)
        path.chmod(0o666)
        child = os.fork()
        if child == 0:
            try:
                os.setuid(12345)
                line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                line.connect(str(path))
                os.write(writing, b"got " + line.recv(1000))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    finally:
        for folder, mode in opened.items():
            folder.chmod(mode)
    os.close(writing)
    assert os.read(reading, 1000) == b"got "
    os.close(reading)


def test_a_server_that_cannot_start_says_why_in_the_client(bench, monkeypatch):
    monkeypatch.setenv("TILLER_FAKE_GPUS", "lots")
    with pytest.raises(ServerError, match="TILLER_FAKE_GPUS='lots' is not a number of GPUs"):
        Client.connect()
    assert server_status() is None


def test_a_server_that_was_started_within_a_task_is_no_process_of_that_task(bench):
    run = bench.shell("until test -e go; do sleep 0.05; done; tiller devices && echo asked > seen; sleep 600")
    bench.supervisor(run)
    # The task's own tiller command starts the server: nobody else asks meanwhile.
    bench.kill_server()
    (bench.work / "go").touch()
    assert bench.file("seen") == "asked\n"
    bench.cancel(run)
    assert bench.ended(run)["state"] == "cancelled"


# --- what comes in ---


def test_identical_submissions_at_one_moment_are_runs_of_their_own(bench):
    graph = Graph("same")
    graph.shell("a", "true", gpus=0)
    with Client.connect():
        pass
    with ThreadPoolExecutor(4) as pool:
        runs = set(pool.map(lambda _: bench.submit(graph), range(8)))
    assert len(runs) == 8
    assert {bench.ended(run)["state"] for run in runs} == {"succeeded"}
    assert list((bench.state / "incoming").iterdir()) == []
    bench.until(lambda: list((bench.state / "active").iterdir()) == [], "no environment is kept for an ended run")


def test_a_refused_submission_leaves_nothing_and_names_every_offender(bench):
    graph = Graph("big")
    graph.shell("five", "true", gpus=5)
    graph.shell("secretive", "true", env_from=["NOT_SET_ANYWHERE"])
    with pytest.raises(GraphError) as refused:
        bench.submit(graph)
    assert "'five' needs 5 GPUs, this host has 4" in str(refused.value)
    assert "NOT_SET_ANYWHERE" in str(refused.value)
    with pytest.raises(GraphError, match="GPU index 9 is not one of this host's 4 devices"):
        bench.shell("true", indices=[9])
    assert list((bench.work / "logs").iterdir()) == list((bench.state / "incoming").iterdir()) == []


def test_a_refusal_longer_than_a_frame_arrives_whole(bench):
    graph = Graph("huge")
    for number in range(20_000):
        graph.shell(f"task-with-a-rather-long-name-{number}", "true", gpus=9)
    with pytest.raises(GraphError) as refused:
        bench.submit(graph)
    assert len(str(refused.value)) > MAX_FRAME
    assert "name-19999'" in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "nonsense"},
        {"op": None},
        {"op": ["status"]},
        {"op": "status"},
        {"op": "status", "workspace": 3, "run": "last"},
        {"op": "status", "workspace": "relative", "run": "last"},
        {"op": "status", "workspace": "/nul\0", "run": "last"},
        {"op": "status", "workspace": "/", "run": {}},
        {"op": "cancel", "workspace": "/", "run": "last", "tasks": "abc"},
        {"op": "submit", "submission": "../../etc/passwd", "sha256": "0"},
        {"op": "submit", "submission": "", "sha256": "0"},
        {"op": "check", "submission": "..", "sha256": "0"},
        {"op": "submit", "submission": "00.json", "sha256": "0"},
        {"op": "subscribe", "workspace": "/", "from_seq": "soon"},
        {"op": "subscribe", "workspace": "/", "run": "gone"},
    ],
)
def test_a_request_that_makes_no_sense_gets_a_sentence_and_the_connection_goes_on(raw, fields):
    line = raw()
    stream = line.makefile("rwb")
    stream.readline()
    for request in (fields, {"op": "devices"}):
        stream.write(json.dumps({"id": 1, **request}).encode() + b"\n")
    stream.flush()
    refused = json.loads(stream.readline())
    assert refused["error"]
    assert "fault in the server" not in refused["error"]
    assert json.loads(stream.readline())["result"]["gpus"]


def test_hostile_bytes_neither_end_nor_block_the_server(bench, raw):
    rng = random.Random(11)
    pid = bench.server_pid()
    operations = ["status", "runs", "cancel", "devices", "submit", "check", "subscribe", "stop?", "", "\x1b[2J"]
    values = [None, True, -1, 2**70, 1e308, "", "last", "/", "\0", "x" * 5000, [], [[]], {}, {"a": []}]
    names = ["workspace", "run", "tasks", "submission", "sha256", "from_seq", "id", "op"]

    def message() -> bytes:
        kind = rng.randrange(4)
        if kind == 0:
            return rng.randbytes(rng.randrange(200)) + b"\n"
        if kind == 1:
            return b"[" * rng.randrange(2000) + b"\n"
        said = {name: rng.choice(values) for name in rng.sample(names, rng.randrange(len(names)))}
        if kind == 2:
            said["op"] = rng.choice(operations)
        whole = json.dumps(said).encode()
        return (whole if rng.random() < 0.8 else whole[: rng.randrange(len(whole))]) + b"\n"

    sent = 0
    while sent < 2000:
        line = raw()
        try:
            for _ in range(20):
                line.sendall(message())
                sent += 1
        except OSError:  # it hung up on what was no JSON
            pass
        line.close()
    line = raw()
    line.sendall(b"x" * (MAX_FRAME + 10))
    said = b""
    while chunk := line.recv(65536):
        said += chunk
    assert b"this connection is closed" in said
    half = raw()
    half.sendall(b'{"op": "dev')  # and says no more
    assert bench.ask("devices")["gpus"]
    assert bench.server_pid() == pid


# --- what goes out ---


def test_a_subscriber_is_told_everything_from_a_snapshot_to_the_end(bench):
    graph = Graph("g")
    graph.shell("a", "until test -e go; do sleep 0.05; done")
    graph.shell("b", "true", after=["a"])
    run = bench.submit(graph)
    with Client.connect() as client:
        stream = client.subscribe(workspace=bench.work, run=run)
        first = next(stream)
        assert first["kind"] == "snapshot"
        assert [task["id"] for task in first["run"]["tasks"]] == ["a", "b"]
        (bench.work / "go").touch()
        events = [first]
        while events[-1]["kind"] != "ended":
            events.append(next(stream))
    assert {task["id"]: task["state"] for task in events[-1]["run"]["tasks"]} == {"a": "succeeded", "b": "succeeded"}
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(seqs)


def test_a_subscription_resumes_after_the_last_seq_that_its_reader_knows(bench):
    first = bench.shell("until test -e go; do sleep 0.05; done")
    with Client.connect() as client:
        running = lambda event: event.get("task", {}).get("state") == "running" or event["kind"] == "snapshot"  # noqa: E731
        known = events_until(client, running, workspace=bench.work)[-1]["seq"]
    (bench.work / "go").touch()
    bench.ended(first)
    second = bench.shell("true")
    bench.ended(second)
    with Client.connect() as client:
        events = events_until(
            client,
            lambda event: event["kind"] == "ended" and event["run"]["id"] == second,
            workspace=bench.work,
            from_seq=known,
        )
    assert "snapshot" not in {event["kind"] for event in events}
    assert [event["run"]["id"] for event in events if event["kind"] == "ended"] == [first, second]


@pytest.mark.parametrize("known", [0, 17, 2**62])
def test_a_seq_that_this_server_never_gave_gets_a_snapshot(bench, known):
    bench.shell("sleep 600")
    with Client.connect() as client:
        assert next(client.subscribe(workspace=bench.work, from_seq=known))["kind"] == "snapshot"


def test_a_seq_of_an_earlier_server_gets_a_snapshot(bench):
    bench.shell("sleep 600")
    with Client.connect() as client:
        known = next(client.subscribe(workspace=bench.work))["seq"]
    bench.kill_server()
    with Client.connect() as client:
        assert next(client.subscribe(workspace=bench.work, from_seq=known))["kind"] == "snapshot"


def test_a_reader_that_does_not_read_costs_no_memory_and_then_gets_a_snapshot(bench):
    graph = Graph("wide")
    gate = graph.shell("gate", "until test -e go; do sleep 0.05; done", gpus=0)
    for number in range(LIMIT + 500):
        graph.shell(f"t{number}", "true", after=[gate], gpus=0)
    run = bench.submit(graph)
    with Client.connect() as client:
        stream = client.subscribe(workspace=bench.work, run=run)
        assert next(stream)["kind"] == "snapshot"
        before = resident(bench.server_pid())
        bench.cancel(run)
        bench.ended(run)
        assert resident(bench.server_pid()) - before < 100
        kinds = [next(stream)["kind"]]
        while kinds[-1] != "ended":
            kinds.append(next(stream)["kind"])
    assert "snapshot" in kinds
    assert len(kinds) < LIMIT


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# --- what it shows ---


def test_a_server_that_is_stopped_under_its_clients_logs_no_fault(bench):
    with Client.connect(), Client.connect() as other:
        pid = bench.server_pid()
        other.request("stop")
        bench.until(lambda: pid not in bench.processes(), "it is gone")
    said = (bench.state / "server.log").read_text()
    assert "stopped, 0 runs left" in said
    assert "Traceback" not in said


def test_ended_runs_are_listed_after_a_restart(bench):
    run = bench.shell("exit 3")
    bench.ended(run)
    bench.kill_server()
    [view] = bench.ask("runs", workspace=str(bench.work))["runs"]
    assert (view["id"], view["state"], view["counts"]) == (run, "failed", {"failed": 1})
    assert bench.task(run)["exit_code"] == 3


def test_a_run_of_another_machine_is_shown_as_such_and_never_touched(bench):
    run = bench.shell("until test -e go; do sleep 0.05; done")
    bench.supervisor(run)
    bench.kill_server()
    path = bench.folder(run) / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    opened = json.loads(lines[0])
    del opened["crc"]
    path.write_bytes(encode({**opened, "machine": "another", "host": "far-away"}) + b"".join(lines[1:]))
    before = path.read_bytes()
    [view] = bench.ask("runs", workspace=str(bench.work))["runs"]
    assert (view["host"], view["adopted"], view["state"]) == ("far-away", False, "running")
    done = bench.tiller("status")
    assert "running on far-away" in done.stdout
    with pytest.raises(GraphError, match="belongs to another server"):
        bench.cancel(run)
    waited = bench.tiller("wait", run)
    assert waited.returncode == 2
    assert "it runs on far-away" in waited.stderr
    assert not any(gpu["holder"] for gpu in bench.ask("devices")["gpus"])
    assert path.read_bytes() == before


def test_a_folder_that_holds_no_readable_run_is_passed_by(bench):
    run = bench.shell("true")
    bench.ended(run)
    for name, content in (("20261120-000000-odd-0000", b"junk\njunk\n"), ("20261120-000000-odd-0001", encode({"type": "x"}))):
        folder = bench.work / "logs" / name
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(content)
    assert [view["id"] for view in bench.ask("runs", workspace=str(bench.work))["runs"]] == [run]
    with pytest.raises(GraphError, match="line 1 is damaged"):
        bench.status("20261120-000000-odd-0000")


def test_two_workspaces_share_the_devices_and_are_listed_apart(bench):
    other = bench.work.with_name("other")
    other.mkdir()
    (other / "tiller.toml").touch()
    first = bench.shell("until test -e go; do sleep 0.05; done", gpus=4)
    graph = Graph("two")
    graph.shell("task", "true")
    second = bench.submit(graph, workspace=other)
    bench.until(lambda: bench.states(first)["task"] == "running", "the first run holds all GPUs")
    assert bench.status(second, other)["tasks"][0]["reason"] == "needs 1 GPU, 0 of 4 free"
    assert [run["id"] for run in bench.ask("runs", workspace=str(other))["runs"]] == [second]
    assert {run["id"] for run in bench.ask("runs", workspace=None)["runs"]} == {first, second}
    (bench.work / "go").touch()
    bench.ended(first)
    bench.until(lambda: bench.status(second, other)["state"] == "succeeded", "the second run has had its turn")
    bench.kill_server()
    assert {run["id"] for run in bench.ask("runs", workspace=None)["runs"]} == {first, second}, "also of an earlier server"
    shown = bench.tiller("status", "--all", cwd=bench.state).stdout
    assert first in shown
    assert second in shown
