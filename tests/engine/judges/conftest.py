"""What tests of judging share: a workspace, cells with responses in it, and `tiller judge` in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.judges.cli import main
from engine.store import Response, Segment, append_records, response_id, responses_folder, text_hash
from engine.workspace import Workspace


def write_responses(root: Path, cell: str, texts: Mapping[str, list[str]], **settings) -> list[Response]:
    """A cell with these answers to these prompts, recorded as the steering steps record theirs."""
    workspace = Workspace(root)
    answers = [
        Response(response_id(cell, prompt, sample), cell, prompt, f"{prompt}?", sample, 0, text, text_hash(text), "stop", 1)
        for prompt, samples in texts.items()
        for sample, text in enumerate(samples)
    ]
    with Segment(responses_folder(workspace, cell), "test") as segment:
        append_records(segment, answers)
    (workspace.artifacts / "cells").mkdir(parents=True, exist_ok=True)
    (workspace.artifacts / "cells" / f"{cell}.json").write_text(json.dumps({"cell": cell, "settings": settings}))
    return answers


def score_lines(root: Path, scorer: str = "*") -> list[dict]:
    """Every whole score record on disk."""
    found = []
    for path in sorted((root / "artifacts/scores").glob(f"{scorer}/*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return found


@dataclass
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    (tmp_path / "tiller.toml").touch()
    for name in list(os.environ):
        if name.startswith("TILLER_") or name.endswith("_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def judge(workspace, capsys) -> Callable[..., Said]:
    """Run `tiller judge …` in this process."""

    def run(*argv: object) -> Said:
        status = main([str(word) for word in argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(status, out, err)

    return run
