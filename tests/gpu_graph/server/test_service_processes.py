"""Services as real processes: shared, killed, adopted, raced for their port; and nothing of them is left."""

from __future__ import annotations

import http.server
import json
import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gpu_graph import Graph
from gpu_graph.journal import decode, encode

SERVER = """
import http.server, os, sys, time
from pathlib import Path

host, word = sys.argv[2:] or ("127.0.0.1", "")
with open("starts", "a") as file:
    file.write(f"{os.environ['TILLER_PORT']}\\n")
while word and not Path(word).exists():
    time.sleep(0.02)
key = os.environ.get("DEMO_KEY")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = key is None or self.headers.get("Authorization") == f"Bearer {key}"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *said):
        pass

class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True

with Server((host, int(sys.argv[1])), Handler) as server:
    print("it serves", flush=True)
    server.serve_forever()
"""

USER = """
import os, sys, time, urllib.request
from pathlib import Path

name, word = sys.argv[1:3]
request = urllib.request.Request(os.environ["TILLER_URL_JUDGE"])
if "TILLER_KEY_JUDGE" in os.environ:
    request.add_header("Authorization", f"Bearer {os.environ['TILLER_KEY_JUDGE']}")
with open("began", "a") as file:
    file.write(f"{name}\\n")
while not Path(word).exists():
    time.sleep(0.02)
with urllib.request.urlopen(request, timeout=20) as answer:
    said = answer.read().decode()
with open("answered", "a") as file:
    file.write(f"{name}:{said}\\n")
"""
"""Asks the service once a file is there; knows it by its environment only."""

PATIENT = """
import sys, time, urllib.request

name, url, seconds = sys.argv[1:]
time.sleep(float(seconds))
for _ in range(600):
    try:
        urllib.request.urlopen(url, timeout=20).read()
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("nobody answered")
with open("answered", "a") as file:
    file.write(f"{name}\\n")
"""
"""Asks until it is answered, as a client with retries does."""


def listening(port: int) -> bool:
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return any(words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port for words in lines)


class Yard:
    """A graph with one service `judge`, and what is true of its processes."""

    def __init__(self, bench) -> None:
        self.bench = bench
        (bench.work / "server.py").write_text(SERVER)
        (bench.work / "user.py").write_text(USER)
        self.graph = Graph("served")
        self.run = ""

    def judge(self, *words: str, **options):
        options = {"gpus": 0, "start_timeout": "60s", **options}
        return self.graph.service("judge", ["python", "server.py", "@{port}", *words], **options)

    def user(self, name: str, judge, word: str = "go", after=(), **options):
        return self.graph.shell(name, ["python", "user.py", name, word], after=[judge, *after], gpus=0, **options)

    def submit(self) -> str:
        self.run = self.bench.submit(self.graph)
        return self.run

    def view(self):
        return self.bench.task(self.run, "judge")

    def ready(self, attempt: int = 1):
        return self.bench.until(
            lambda: (view := self.view())["attempt"] == attempt and view["url"] and view, f"attempt {attempt} is ready"
        )

    def ports(self) -> list[int]:
        """Of each attempt that got as far as to say so."""
        return [int(word) for word in self.bench.marks("starts")]

    def processes(self) -> set[int]:
        """Of the service, its supervisor among them."""
        living = self.bench.processes()
        return {pid for pid, said in living.items() if said.get("TILLER_ATTEMPT_ID", "").split("/")[-2:-1] == ["judge"]}

    def kill_service(self, attempt: int) -> None:
        supervisor = self.bench.supervisor(self.run, "judge", attempt)
        for pid in self.processes() - {supervisor}:
            os.kill(pid, signal.SIGKILL)

    def records(self, kind: str):
        lines = (self.bench.folder(self.run) / "journal.jsonl").read_bytes().splitlines(keepends=True)
        return [
            record for line in lines if (record := decode(line)) and record["type"] == kind and record.get("task") == "judge"
        ]


@pytest.fixture
def yard(bench):
    return Yard(bench)


def test_twenty_dependents_share_one_service_that_starts_once_and_is_stopped(yard, bench):
    judge = yard.judge()
    for number in range(20):
        yard.user(f"u{number}", judge, "server.py")
    yard.submit()
    view = bench.ended(yard.run)
    assert view["state"] == "succeeded"
    [port] = yard.ports()
    assert len(set(bench.marks("answered"))) == 20
    assert len({mark.split(":")[1] for mark in bench.marks("answered")}) == 1, "one process answered all"
    assert not listening(port)
    assert not yard.processes()


def test_a_service_with_twenty_dependents_survives_its_crash_its_supervisors_and_the_servers(yard, bench):
    judge = yard.judge()
    for number in range(20):
        yard.user(f"u{number}", judge)
    yard.submit()
    yard.ready()
    bench.until(lambda: len(bench.marks("began")) == 3, "three dependents run, one slot is the service's")
    yard.kill_service(attempt=1)
    yard.ready(attempt=2)
    assert (yard.bench.folder(yard.run) / "judge" / "1.exit").read_text() == "137\n"
    left = yard.processes() - {bench.supervisor(yard.run, "judge", 2)}
    os.kill(bench.supervisor(yard.run, "judge", 2), signal.SIGKILL)
    url = yard.ready(attempt=3)["url"]
    assert not left & set(bench.processes()), "what the killed supervisor left was ended first"
    serving = yard.processes()
    bench.kill_server()
    assert yard.ready(attempt=3)["url"] == url
    assert yard.processes() == serving
    assert len(bench.marks("began")) == 3, "nothing new began while it was down, and nothing that ran was ended"
    (bench.work / "go").touch()
    view = bench.ended(yard.run)
    assert {task["state"] for task in view["tasks"]} == {"succeeded"}
    assert all(task["attempt"] == 1 for task in view["tasks"] if task["id"] != "judge")
    assert sorted(mark.split(":")[0] for mark in bench.marks("answered")) == sorted(f"u{number}" for number in range(20))
    assert len(yard.ports()) == 3
    assert len(set(yard.ports())) == 1, "the dependents that ran knew it by this port"
    assert not listening(yard.ports()[0])
    assert not yard.processes()


def test_a_service_that_dies_while_no_server_lives_is_started_again_by_the_next(yard, bench):
    judge = yard.judge()
    yard.user("first", judge)
    yard.submit()
    yard.ready()
    bench.file("began")
    pids = yard.processes()
    bench.kill_server()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    yard.ready(attempt=2)
    (bench.work / "go").touch()
    assert bench.ended(yard.run)["state"] == "succeeded"


def test_the_next_server_goes_on_waiting_for_one_that_was_not_ready(yard, bench):
    judge = yard.judge("127.0.0.1", "open")
    yard.user("first", judge, "server.py")
    yard.submit()
    bench.until(lambda: yard.ports(), "it has started")
    assert yard.view()["reason"] == f"starting: http://127.0.0.1:{yard.ports()[0]}/health does not answer yet"
    assert bench.task(yard.run, "first")["reason"] == "needs judge, which is starting"
    bench.kill_server()
    (bench.work / "open").touch()
    assert bench.ended(yard.run)["state"] == "succeeded"
    assert yard.view()["attempt"] == 1


def test_after_a_reboot_a_service_is_started_again_for_those_that_still_need_it(yard, bench):
    judge = yard.judge()
    yard.user("first", judge)
    gate = yard.graph.shell("gate", "until test -e go; do sleep 0.02; done", gpus=0, retries=1)
    yard.user("second", judge, "server.py", after=[gate])
    yard.submit()
    yard.ready()
    pids = {bench.supervisor(yard.run, name) for name in ("first", "gate", "judge")}
    bench.file("began")
    bench.kill_server()
    for pid in pids:
        os.killpg(pid, signal.SIGKILL)
    bench.until(lambda: not bench.task_processes(), "nothing survives a reboot")
    (bench.folder(yard.run) / "gate" / "1.exit").write_text("0\n")
    path = bench.folder(yard.run) / "journal.jsonl"
    records = [decode(line) for line in path.read_bytes().splitlines(keepends=True)]
    path.write_bytes(b"".join(encode({**one, "boot": "another"} if one["type"] == "server" else one) for one in records))
    bench.ended(yard.run)
    assert bench.states(yard.run) == {"judge": "succeeded", "first": "lost", "gate": "succeeded", "second": "succeeded"}
    assert yard.view()["attempt"] == 2


def test_a_stranger_on_its_port_is_never_taken_for_it_and_it_gets_another(yard, bench):
    judge = yard.judge("127.0.0.1", "open")
    yard.user("first", judge, "server.py")
    yard.submit()
    bench.until(lambda: yard.ports(), "it has started and not bound its port")

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *said):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", yard.ports()[0]), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        bench.until(lambda: len(yard.ports()) == 2, "it was started again")
        (bench.work / "open").touch()
        assert bench.ended(yard.run)["state"] == "succeeded"
        stranger.shutdown()
    first, second = yard.ports()
    assert first != second
    [unfit] = [record for record in yard.records("stopping") if record["reason"] == "failed"]
    assert unfit["cause"] == f"another program listens on its port {first}"
    assert [record["attempt"] for record in yard.records("ready")] == [2]


def test_a_service_that_other_machines_could_reach_is_stopped_and_not_tried_again(yard, bench):
    judge = yard.judge("0.0.0.0", "server.py")
    yard.user("first", judge, "server.py")
    yard.submit()
    bench.ended(yard.run)
    view = yard.view()
    assert (view["state"], view["attempt"]) == ("failed", 1)
    assert "it listens on 0.0.0.0, where other machines can reach it; a service must listen on 127.0.0.1 only" in view["reason"]
    assert "--host 127.0.0.1" in view["reason"]
    assert bench.task(yard.run, "first")["reason"] == "judge failed"
    assert not listening(yard.ports()[0])
    assert not bench.marks("began")


def test_a_line_of_its_log_can_say_that_it_is_ready(yard, bench):
    program = (
        "import os, socket, sys, time\n"
        "line = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "print('loading', flush=True)\n"
        "open('up', 'w').write('up\\n')\n"
        "while not os.path.exists('open'): time.sleep(0.02)\n"
        "print('model 7b ready', end='', flush=True)\n"
        "while True: line.accept()[0].close()\n"
    )
    judge = yard.graph.service("judge", ["python", "-c", program, "@{port}"], ready=r"log:model \w+ ready", gpus=0)
    yard.graph.shell("first", "echo $TILLER_URL_JUDGE > told", after=[judge], gpus=0)
    yard.submit()
    bench.file("up")
    assert yard.view()["reason"] == r"starting: no line of its log matches 'model \\w+ ready' yet"
    (bench.work / "open").touch()
    assert bench.ended(yard.run)["state"] == "succeeded"
    assert bench.file("told").startswith("http://127.0.0.1:")


def test_one_that_is_not_ready_in_time_is_stopped_tried_again_and_then_failed(yard, bench):
    judge = yard.graph.service("judge", "sleep 600", start_timeout="0.5s", restarts=1, gpus=0)
    yard.user("first", judge)
    yard.submit()
    bench.ended(yard.run)
    view = yard.view()
    assert (view["state"], view["attempt"]) == ("failed", 2)
    assert view["reason"].startswith("not ready within 0.5 s: it does not listen on 127.0.0.1:")
    assert not bench.task_processes()


def test_its_time_to_start_also_passes_while_no_server_lives(yard, bench):
    judge = yard.graph.service("judge", "sleep 600", start_timeout="10m", restarts=0, gpus=0)
    yard.user("first", judge)
    yard.submit()
    bench.until(lambda: yard.view()["state"] == "running", "it runs")
    bench.kill_server()
    path = bench.folder(yard.run) / "journal.jsonl"
    records = [decode(line) for line in path.read_bytes().splitlines(keepends=True)]
    earlier = ({**one, "at": one["at"] - 600} if one["type"] == "started" else one for one in records)
    path.write_bytes(b"".join(map(encode, earlier)))
    bench.ended(yard.run)
    assert yard.view()["reason"].startswith("not ready within 600 s")
    assert not bench.task_processes()


def test_its_timeout_ends_it_also_when_it_is_ready(yard, bench):
    judge = yard.judge(timeout="4s", restarts=0)
    yard.user("first", judge)
    yard.submit()
    bench.until(lambda: yard.view()["state"] == "timed_out", "its time is over")
    assert yard.records("ready")
    assert yard.view()["reason"] == "ran longer than its timeout of 4 s"
    assert bench.task(yard.run, "first")["state"] == "running", "what runs is left to itself"
    bench.cancel(yard.run)
    bench.ended(yard.run)


def test_one_that_cannot_even_be_run_fails_with_the_reason(yard, bench):
    judge = yard.graph.service("judge", ["/no/such/program"], restarts=0, gpus=0)
    yard.user("first", judge)
    yard.submit()
    bench.ended(yard.run)
    assert (yard.view()["state"], yard.view()["reason"]) == ("failed", "it ended by itself: exit 127")


def test_its_key_lets_dependents_in_and_is_in_no_file_and_no_command_line(yard, bench):
    judge = yard.judge(key_env="DEMO_KEY")
    yard.user("first", judge)
    yard.submit()
    yard.ready()
    bench.file("began")
    keys = {said["DEMO_KEY"] for pid, said in bench.processes().items() if pid in yard.processes() and "DEMO_KEY" in said}
    [key] = keys
    held = [said["TILLER_KEY_JUDGE"] for said in bench.processes().values() if "TILLER_KEY_JUDGE" in said]
    assert set(held) == {key}
    lines = [path.read_bytes() for pid in bench.processes() if (path := Path(f"/proc/{pid}/cmdline")).exists()]
    assert not [line for line in lines if key.encode() in line]
    bench.kill_server()
    yard.kill_service(attempt=1)
    yard.ready(attempt=2)
    (bench.work / "go").touch()
    assert bench.ended(yard.run)["state"] == "succeeded"
    written = [path for root in (bench.work, bench.state) for path in root.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if key.encode() in path.read_bytes()] == []
    assert (bench.state / "service-secret").stat().st_mode & 0o777 == 0o600


def test_cancel_of_the_run_ends_the_service_too(yard, bench):
    judge = yard.judge()
    yard.user("first", judge)
    yard.submit()
    yard.ready()
    bench.cancel(yard.run)
    assert bench.ended(yard.run)["state"] == "cancelled"
    assert yard.view()["state"] == "cancelled"
    assert not bench.task_processes()
    assert not listening(yard.ports()[0])


def test_a_call_gets_the_address_in_its_arguments(yard, bench):
    (bench.work / "runs" / "asks.py").write_text(
        "import urllib.request\ndef ask(urls):\n    return urllib.request.urlopen(urls[0]['judge']).status\n"
    )
    judge = yard.judge()
    yard.graph.call("first", "runs/asks.py:ask", {"urls": [{"judge": "@{judge.url}/x"}]}, after=[judge], gpus=0)
    yard.submit()
    assert bench.ended(yard.run)["state"] == "succeeded"
    assert json.loads((bench.folder(yard.run) / "first" / "1.result.json").read_text()) == 200


def test_the_command_line_tells_what_a_service_does(yard, bench):
    bench.run_file(
        "served",
        """
        def build():
            graph = Graph("served")
            judge = graph.service("judge", ["python", "server.py", "@{port}"], gpus=0)
            graph.shell("first", ["python", "user.py", "first", "go"], after=[judge], gpus=0)
            return graph
        """,
    )
    running = bench.begin("run", "runs/served.py")
    bench.file("began")
    status = bench.tiller("status", "last").stdout
    assert "ready at http://127.0.0.1:" in status
    assert "needed by 1 task" in status
    (bench.work / "go").touch()
    _, told = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "R judge                        ready at http://127.0.0.1:" in told


@pytest.mark.slow
def test_random_kills_of_servers_services_and_their_supervisors_lose_no_dependent(yard, bench):
    """60 kills. Two services share 4 slots with 120 tasks; every task ends well, once, and nothing is left."""
    rng = random.Random(11)
    (bench.work / "patient.py").write_text(PATIENT)
    judges = [
        yard.graph.service(name, ["python", "server.py", "@{port}"], gpus=0, restarts=1000, start_timeout="60s")
        for name in ("judge", "model")
    ]
    before: list[str] = []
    for number in range(120):
        needs = [rng.choice(judges), *([rng.choice(before)] if before and rng.random() < 0.3 else [])]
        url = f"@{{{needs[0]}.url}}"
        yard.graph.shell(f"t{number}", ["python", "patient.py", f"t{number}", url, f"{rng.random():.2f}"], after=needs, gpus=0)
        before.append(f"t{number}")
    yard.submit()
    kills = 0
    while kills < 60 and bench.status(yard.run)["state"] in {"queued", "running"}:
        serving = [pid for pid, said in bench.processes().items() if "TILLER_PORT" in said]
        if rng.random() < 0.5:
            bench.kill_server()
        elif serving:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(serving), signal.SIGKILL)
        else:
            continue
        kills += 1
        time.sleep(rng.uniform(0, 0.4))  # the moment of the next kill is part of the chaos
    assert kills == 60, "the run was too short for all kills"
    view = bench.ended(yard.run, seconds=300)
    assert {task["state"] for task in view["tasks"]} == {"succeeded"}
    assert sorted(bench.marks("answered")) == sorted(before)
    assert not bench.task_processes()
    assert not [port for port in yard.ports() if listening(port)]
