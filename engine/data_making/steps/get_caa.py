"""`tiller data get caa`: the published data sets, in the layout `tiller steer --dataset` reads, and where they come from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from engine.atomic import write_whole
from engine.data_making.download import fetch
from engine.data_making.published import CAA, LICENCE
from engine.data_making.settings import GetSettings
from engine.remote.endpoints import check_address
from engine.store import note_artifact
from engine.workspace import find_workspace


def run(settings: GetSettings) -> str:
    check_address(settings.source, "--source")
    workspace = find_workspace()
    folder = Path(settings.to).expanduser().resolve() if settings.to else workspace.root / "datasets" / "caa"
    fetched = fetch(CAA, settings.source, folder, settings.overwrite)
    provenance = folder / "caa.provenance.json"
    if fetched or not provenance.exists():
        record = {
            "source": settings.source,
            "licence": LICENCE,
            "files": [asdict(file) for file in CAA],
        }
        write_whole(provenance, json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n")
    for path in (*(folder / file.path for file in CAA), provenance):
        note_artifact(workspace, path, "dataset", "caa")
    found = f", {len(CAA) - fetched} were there" if fetched < len(CAA) else ""
    return f"get caa: {fetched} files fetched{found}, all of the pinned hashes → {workspace.relative(folder)} ({LICENCE})"
