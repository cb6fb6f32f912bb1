"""Quick commands stay quick: what may not be loaded by whom, checked in fresh interpreters."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "numpy", "pyarrow", "openai", "sklearn", "scipy", "matplotlib", "duckdb"}
CONSOLE = {"textual", "pydantic", "tyro", "rich"}


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after this code."""
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_gpu_graph_is_light():
    assert not loaded_by("import gpu_graph") & (HEAVY | CONSOLE)


def test_the_server_is_light():
    assert not loaded_by("import gpu_graph.server.__main__") & (HEAVY | CONSOLE)


@pytest.mark.skipif(importlib.util.find_spec("tui.app") is None, reason="there is no console yet")
def test_the_console_loads_nothing_that_computes():
    assert not loaded_by("import tui.app") & HEAVY


def test_the_overview_is_light():
    code = "from tui.cli.main import main\nassert main(['--help']) == 0"
    assert not loaded_by(code) & (HEAVY | CONSOLE)


@pytest.mark.parametrize("verb", ["status", "logs", "wait", "cancel", "server", "run", "devices", "init"])
def test_operational_verbs_are_light(verb):
    assert not loaded_by(f"import tui.cli.main, tui.cli.{verb}") & (HEAVY | CONSOLE)


@pytest.mark.parametrize("verb", ["status", "logs", "wait", "cancel", "server"])
def test_quick_verbs_load_neither_an_event_loop_nor_a_driver(verb):
    assert not loaded_by(f"import tui.cli.main, tui.cli.{verb}") & {"asyncio", "pynvml"}
