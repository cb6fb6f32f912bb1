"""`tiller data process FOLDER`: the files that vectors are made from and models are asked, from a folder's raw/."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from engine.atomic import write_whole
from engine.data_making.made_set import json_file
from engine.data_making.parsing import Unfit
from engine.data_making.processing import OWN_OPEN_TEST, Processed, process
from engine.data_making.raw_files import behaviors, find_root, read_raw
from engine.data_making.settings import ProcessSettings
from engine.errors import InputError
from engine.progress import notice

_PROVENANCE = "process.provenance.json"


def run(settings: ProcessSettings) -> str:
    root = find_root(Path(settings.folder).expanduser())
    target = Path(settings.to).expanduser() if settings.to else root
    known = behaviors(root)
    unknown = [name for name in settings.behaviors if name not in known]
    if unknown or not known:
        raise InputError(
            f"{root / 'raw'} has no folder {', '.join(unknown) or 'of any behaviour'}; it has {', '.join(known) or 'none'}."
        )
    contents: dict[str, bytes] = {}
    records: dict[str, object] = {}
    for behavior in settings.behaviors or known:
        made, sources = _process(root / "raw" / behavior, settings)
        _tell(behavior, made, target)
        written = {name: json_file(items) for name, items in made.files.items()}
        contents |= written
        records[behavior] = {
            "settings": {name: getattr(settings, name) for name in ("seed", "generate", "test")},
            "raw": {path.name: _sha256(path.read_bytes()) for path in sources},
            "dropped": made.between,
            "not_balanced": made.unbalanced,
            "files": {name: _sha256(content) for name, content in written.items()},
        }
    fresh = {name: content for name, content in contents.items() if not _is_there(target / name, content, settings.overwrite)}
    for name, content in fresh.items():
        write_whole(target / name, content)
    _note(target / _PROVENANCE, records)
    there = f", {len(contents) - len(fresh)} were there" if len(fresh) < len(contents) else ""
    many = "behaviour" if len(records) == 1 else "behaviours"
    return f"process: {len(records)} {many}, {len(fresh)} files written{there} → {target}"


def _process(folder: Path, settings: ProcessSettings) -> tuple[Processed, list[Path]]:
    items, sources = read_raw(folder, settings.seed)
    try:
        return process(folder.name, items, settings.seed, settings.generate, settings.test), sources
    except Unfit as reason:
        raise InputError(f"{folder}: {reason}; add items, or give a smaller --test.") from reason


def _tell(behavior: str, made: Processed, target: Path) -> None:
    if made.between:
        notice(f"{behavior}: {made.between} items between the training and the test ones were dropped")
    if made.unbalanced:
        notice(f"{behavior}: {made.unbalanced} training items are not balanced: they have not two options, or one is odd")
    own = target / "test" / behavior / "test_dataset_open_ended.json"
    if behavior == OWN_OPEN_TEST and not own.is_file():
        notice(f"{behavior}: its open-ended test cannot be made of its questions; write {own} yourself")


def _is_there(path: Path, content: bytes, overwrite: bool) -> bool:
    """Whether nothing is to be written; a file with other contents is refused, so nothing is, unless told."""
    if not path.exists():
        return False
    try:
        same = path.read_bytes() == content
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check what it is.") from error
    if not same and not overwrite:
        raise InputError(f"{path} is there with other contents; give --overwrite to replace it, or write elsewhere with --to.")
    return same


def _note(path: Path, records: dict[str, object]) -> None:
    """What was made from what, beside what earlier runs made of other behaviours."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or not ours
        earlier = {}
    merged = (earlier if isinstance(earlier, dict) else {}) | records
    write_whole(path, json.dumps(merged, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
