"""A workspace of a test's own, and a search as a command in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.cd.cli import main

SMALL = ("--samples", "1", "--max-new-tokens", "12", "--diversity-weight", "0")
"""Texts that take little time, and no embedder."""


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("TILLER_RUN", "TILLER_TASK", "TILLER_ATTEMPT_ID", "TILLER_PROGRESS", "TILLER_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def search(workspace, capsys):
    """`tiller cd search …`: → what it wrote to stdout and stderr."""

    def run(*words: object, status: int = 0) -> tuple[str, str]:
        code = main(["search", *map(str, words)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert code == status, err
        return out.strip(), err

    return run


@pytest.fixture
def bank(workspace):
    """The bank that a command has written; the only one there is."""

    def read() -> list[dict]:
        (path,) = (workspace / "artifacts/searches").glob("*/bank.json")
        return json.loads(path.read_text())

    return read
