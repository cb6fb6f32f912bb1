"""Where the next record follows from the last, a second command is refused, and goes on when the first is gone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.cd.alone import alone
from engine.errors import EngineError

HOLD = (
    "import sys, time; from pathlib import Path; from engine.cd.alone import alone\nwith alone(Path(sys.argv[1]), 'it'):\n {}"
)


def test_a_second_command_is_refused_and_named_what_is_at_work(tmp_path):
    with alone(tmp_path / "new" / "run", "run abc"):
        with (
            pytest.raises(EngineError, match="Another command is at work on run abc"),
            alone(tmp_path / "new" / "run", "run abc"),
        ):
            raise AssertionError("two were inside")
        with alone(tmp_path / "other", "run def"):
            pass
    with alone(tmp_path / "new" / "run", "run abc"):
        pass


def test_a_killed_command_leaves_no_lock(tmp_path):
    script = HOLD.format("print('in', flush=True); time.sleep(600)")
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    with pytest.raises(EngineError, match="Another command"), alone(tmp_path, "it"):
        raise AssertionError("two were inside")
    process.kill()
    process.wait()
    process.stdout.close()
    with alone(tmp_path, "it"):
        pass
