"""Folders that are there whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.atomic import whole_folder

WRITER = """
import os, signal, sys
from pathlib import Path
from engine.atomic import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "weights").write_text("theirs")
    print("written", flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that writes the same folder."""

    def start(fate: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(tmp_path / "model"), fate]
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        assert started.stdout.readline() == "written\n"
        return started

    return start


def write(path: Path) -> None:
    with whole_folder(path) as folder:
        (folder / "weights").write_text("ours")


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, writer):
    writer("killed").communicate()
    (left,) = tmp_path.iterdir()
    assert (left / "weights").read_text() == "theirs"
    write(tmp_path / "other")
    assert left.exists()  # it is of another folder
    write(tmp_path / "model")
    assert {path.name for path in tmp_path.iterdir()} == {"model", "other"}
    assert (tmp_path / "model/weights").read_text() == "ours"


def test_a_process_that_is_at_it_is_not_disturbed_and_who_is_first_stays(tmp_path, writer):
    other = writer("waiting")
    write(tmp_path / "model")
    _, errors = other.communicate("")
    assert (other.returncode, errors) == (0, None)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model/weights").read_text() == "ours"


def test_a_failure_leaves_nothing(tmp_path):
    def write_half() -> None:
        with whole_folder(tmp_path / "model") as folder:
            (folder / "weights").write_text("ours")
            raise EOFError

    with pytest.raises(EOFError):
        write_half()
    assert not list(tmp_path.iterdir())
