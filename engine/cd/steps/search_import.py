"""`tiller cd search import`: a prompt file of the original program becomes a wording."""

from __future__ import annotations

import json
from pathlib import Path

from engine.atomic import write_whole
from engine.cd.search.imports import import_wording
from engine.cd.search.settings import SearchImportSettings
from engine.errors import InputError
from engine.progress import notice


def run(settings: SearchImportSettings) -> str:
    source = Path(settings.file).expanduser()
    target = Path(settings.to).expanduser() if settings.to else source.with_name(f"{source.stem}-wording.json")
    if target.suffix != ".json":
        raise InputError(f"--to {target}: a wording that is imported is JSON; give a name that ends in .json.")
    if target.exists() and not settings.overwrite:
        raise InputError(f"{target} is there already; give --overwrite, or another --to.")
    wording, left_out = import_wording(source, settings.without_divergences)
    if left_out:
        notice(f"search import: left out {', '.join(left_out)}")
    content = wording.model_dump(mode="json", exclude_defaults=True)
    write_whole(target, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")
    return f"search import: {wording.kind}, {len(wording.seeds)} prompts to begin with → {target}"
