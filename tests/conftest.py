"""What tests share: a private workspace with a server of its own, real processes, and waiting for conditions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from waiting import until

from gpu_graph import Graph
from gpu_graph.client import Client, server_status
from gpu_graph.submit import describe, submit

TILLER = Path(sys.executable).with_name("tiller")
_ENDED = {"succeeded", "failed", "cancelled"}


class Bench:
    """A private workspace (the current directory) and state folder. Its server starts with the first need of one."""

    until = staticmethod(until)
    tiller_path = TILLER

    def __init__(self, root: Path) -> None:
        self.work = root / "ws"
        self.state = root / "s"
        for name in ("runs", "logs", "artifacts"):
            (self.work / name).mkdir(parents=True)

    # --- through the command line ---

    def tiller(self, *words, cwd: Path | None = None, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TILLER, *map(str, words)],
            cwd=cwd or self.work,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )

    def begin(self, *words, **options) -> subprocess.Popen[str]:
        """The command as a child that goes on, its streams piped."""
        pipe = subprocess.PIPE
        command = [TILLER, *map(str, words)]
        return subprocess.Popen(
            command, cwd=self.work, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, errors="replace", **options
        )

    def run_file(self, name: str, body: str) -> Path:
        path = self.work / "runs" / f"{name}.py"
        path.write_text("from gpu_graph import Graph\n" + textwrap.dedent(body))
        return path

    # --- through the Python surface ---

    def submit(self, graph: Graph, *, workspace: Path | None = None, indices: list[int] | None = None) -> str:
        with Client.connect() as client:
            return submit(client, describe(graph.spec(), workspace or self.work, gpu_indices=indices))

    def shell(self, command: str | list[str], *, indices: list[int] | None = None, **options) -> str:
        """A run of one task named `task`."""
        graph = Graph("one")
        graph.shell("task", command, **options)
        return self.submit(graph, indices=indices)

    def ask(self, op: str, **fields):
        with Client.connect() as client:
            return client.request(op, **fields)

    def status(self, run: str = "last", workspace: Path | None = None):
        return self.ask("status", workspace=str(workspace or self.work), run=run)

    def task(self, run: str, task: str = "task"):
        return next(view for view in self.status(run)["tasks"] if view["id"] == task)

    def states(self, run: str = "last") -> dict[str, str]:
        return {task["id"]: task["state"] for task in self.status(run)["tasks"]}

    def ended(self, run: str = "last", seconds: float = 60.0):
        """The run's view once it has ended."""
        return until(lambda: (view := self.status(run))["state"] in _ENDED and view, f"{run} has ended", seconds)

    def cancel(self, run: str, *tasks: str):
        return self.ask("cancel", workspace=str(self.work), run=run, tasks=list(tasks) or None)

    # --- the ground ---

    def folder(self, run: str) -> Path:
        return self.work / "logs" / run

    def file(self, name: str, seconds: float = 60.0) -> str:
        """The text of a file in the workspace, once it has a whole line."""
        path = self.work / name
        until(lambda: path.exists() and path.read_text().endswith("\n"), f"{name} is written", seconds)
        return path.read_text()

    def marks(self, name: str) -> list[str]:
        path = self.work / name
        return path.read_text().split() if path.exists() else []

    def server_pid(self) -> int:
        greeting = server_status()
        assert greeting is not None, "no server is running"
        return greeting["pid"]

    def kill_server(self) -> int:
        """SIGKILL; returns its pid once nothing is left of it."""
        pid = self.server_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not living(pid), "the killed server is gone")
        return pid

    def supervisor(self, run: str, task: str = "task", attempt: int = 1) -> int:
        path = self.folder(run) / task / f"{attempt}.pid"
        until(lambda: path.exists() and path.read_text().endswith("\n"), f"{task} has a supervisor")
        return int(path.read_text().split()[0])

    def processes(self) -> dict[int, dict[str, str]]:
        """Every living process that was started with this state folder, with its environment."""
        found: dict[int, dict[str, str]] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                said = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            environment = dict(os.fsdecode(line).split("=", 1) for line in said if b"=" in line)
            if environment.get("TILLER_STATE_DIR") == str(self.state) and living(int(entry.name)):
                found[int(entry.name)] = environment
        return found

    def task_processes(self) -> set[int]:
        return {pid for pid, environment in self.processes().items() if "TILLER_ATTEMPT_ID" in environment}

    def sweep(self) -> None:
        def none_left() -> bool:
            left = self.processes()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            return not left

        until(none_left, "everything that the test started has ended")


def living(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A workspace with 4 pretend GPUs and 4 CPU slots, as the current directory."""
    for name in list(os.environ):
        if name.startswith("TILLER_") or name in {"CUDA_VISIBLE_DEVICES", "COLUMNS", "LINES"}:
            monkeypatch.delenv(name)
    made = Bench(tmp_path)
    monkeypatch.setenv("TILLER_STATE_DIR", str(made.state))
    monkeypatch.setenv("TILLER_FAKE_GPUS", "4")
    monkeypatch.setenv("TILLER_CPU_SLOTS", "4")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(made.work)
    yield made
    made.sweep()


@pytest.fixture
def small_disk(bench):
    """Mounts a tmpfs of this size on a folder; skips where that needs rights we do not have."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> Path:
        if os.getuid() != 0:
            pytest.skip("a small tmpfs needs root")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"a small tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield mount
    bench.sweep()
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def parsed():
    """The JSON that a command printed."""
    return lambda done: json.loads(done.stdout)


@pytest.fixture(scope="session", autouse=True)
def signals_of_a_terminal():
    """Programs started by the tests feel Ctrl+C and hang-ups, also when the tests run under nohup or in the background."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
