"""What says where artifacts came from: the settings of every cell, and the manifest of every run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from engine.atomic import write_whole, writing
from engine.errors import EngineError
from engine.progress import append_line
from engine.settings import SCHEMA, StepSettings
from engine.workspace import Workspace


def record_cell(
    workspace: Workspace,
    cell: str,
    settings: StepSettings,
    inputs: Mapping[str, str],
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Store what a cell's key stands for in `artifacts/cells/<cell>.json`, once: equal keys mean equal content. facts: what
    follows from it and readers want to know."""
    path = workspace.artifacts / "cells" / f"{cell}.json"
    if not path.exists():
        record = {
            "cell": cell,
            "schema": SCHEMA,
            "step": settings.step,
            "version": settings.VERSION,
            "settings": settings.record(),
            "inputs": dict(inputs),
            **({"facts": dict(facts)} if facts else {}),
        }
        write_whole(path, json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n")


def record_scorer(workspace: Workspace, scorer: str, record: Mapping[str, Any]) -> None:
    """Store what a scorer's name stands for in `artifacts/scorers/<scorer>.json`: judge, rubric, settings; no keys."""
    path = workspace.artifacts / "scorers" / f"{scorer}.json"
    content = json.dumps({"scorer": scorer, **record}, ensure_ascii=False, indent=1).encode() + b"\n"
    if not path.exists() or path.read_bytes() != content:  # what only says how verdicts are read may have been mended since
        write_whole(path, content)


def read_catalog(workspace: Workspace, kind: Literal["cells", "scorers", "checks"]) -> dict[str, dict[str, Any]]:
    """What has been recorded of every cell, scorer or check, by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((workspace.artifacts / kind).glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise EngineError(f"{path} is not JSON ({error}); move it away and run again.") from error
        found[path.stem] = record
    return found


def note_artifact(workspace: Workspace, path: Path, kind: str, key: str) -> None:
    """Tell the scheduler, and the manifest of the run this task belongs to, that `path` is made."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    note: dict[str, Any] = {"path": workspace.relative(path), "kind": kind, "key": key, "sha256": sha256}
    append_line("TILLER_ARTIFACTS", note)
    run = os.environ.get("TILLER_RUN")
    if run:
        manifest = workspace.artifacts / "manifest" / f"{Path(run).name}.jsonl"
        task = {"task": os.environ.get("TILLER_TASK"), "attempt": os.environ.get("TILLER_ATTEMPT")}
        with writing(manifest):
            manifest.parent.mkdir(parents=True, exist_ok=True)
            with manifest.open("ab", buffering=0) as file:  # one small write each: lines of parallel tasks never mix
                file.write(json.dumps(task | note, ensure_ascii=False).encode() + b"\n")
