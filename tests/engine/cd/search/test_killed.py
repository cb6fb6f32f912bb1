"""A search that is killed, anywhere, ends with the bank of one that was not (§8.7). Real processes, SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from chat_server import ChatServer
from prompting_assistant import SEEDS, scripted
from waiting import until

CODE = "import sys; from engine.cd.cli import main; sys.exit(main(sys.argv[1:]))"
RESPONSES, REPLIES, LOG = "responses/*/*.jsonl", "searches/*/replies/*.jsonl", "searches/*/log/*.jsonl"
OPTIONS = ("--prompt", *SEEDS, "--samples", "2", "--max-new-tokens", "12", "--cycles", "2")


def kill_when(workspace: Path, place: str, lines: int, *options: str) -> None:
    """Start the search, and kill it once the files at `place` have so many lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "search", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def reached() -> bool:
        written = sum(path.read_bytes().count(b"\n") for path in (workspace / "artifacts").glob(place))
        return written >= lines or process.poll() is not None

    until(reached, f"{lines} lines in {place}")
    assert process.poll() is None, "it ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(workspace.glob("artifacts/searches/*/bank.json"))


def same_results(workspace: Path, monkeypatch, search, options: tuple[str, ...]) -> None:
    """The search goes on here, runs undisturbed in a workspace of its own, and both have the same files."""
    search(*options)
    other = workspace / "undisturbed"
    other.mkdir()
    (other / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(other))
    search(*options)
    for name in ("bank.json", "bank.tsv", "cycles.tsv"):
        (resumed,), (undisturbed,) = (list(root.glob(f"artifacts/searches/*/{name}")) for root in (workspace, other))
        assert resumed.read_bytes() == undisturbed.read_bytes()
        assert resumed.parent.name == undisturbed.parent.name


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([(LOG, 4)], id="in the second repeat"),
        pytest.param(
            [(RESPONSES, 1), (REPLIES, 1), (LOG, 3)], id="while prompts are scored, and asked for", marks=pytest.mark.slow
        ),
    ],
)
def test_with_an_assistant(workspace, search, monkeypatch, places):
    with ChatServer(scripted, delay=0.2) as server:
        options = (*OPTIONS, "--repeats", "2", "--assistant", server.url)
        for place, lines in places:
            kill_when(workspace, place, lines, *options)
        server.delay = 0.0
        search(*options)
        assert max(server.counts.asked.values()) <= 2  # one that was in flight at a kill is asked again
        same_results(workspace, monkeypatch, search, options)


def test_offline(workspace, search, monkeypatch):
    options = (*OPTIONS, "--proposals", "4", "--cycles", "8")
    kill_when(workspace, LOG, 2, *options)
    same_results(workspace, monkeypatch, search, options)
