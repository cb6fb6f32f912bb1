"""A workspace of a test's own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    for name in ("TILLER_RUN", "TILLER_TASK", "TILLER_ATTEMPT_ID", "TILLER_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TILLER_ARTIFACTS", str(tmp_path / "made"))
    return tmp_path
