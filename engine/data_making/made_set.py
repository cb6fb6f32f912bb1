"""A made set on disk: its files, written whole, and the provenance beside them.

Owns where a set goes, the refusal to overwrite, and what the provenance says. The provenance is written first, as incomplete,
and last: files without a finished provenance are those of a killed command, and the same command replaces them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.atomic import write_whole
from engine.errors import InputError
from engine.store import note_artifact
from engine.workspace import Workspace


@dataclass(frozen=True, slots=True)
class MadeSet:
    """A set named `name` below `folder`; `paths` are all files that it can have."""

    workspace: Workspace
    folder: Path
    name: str
    key: str
    paths: tuple[str, ...]

    @property
    def provenance(self) -> Path:
        return self.folder / f"{self.name}.provenance.json"

    def find(self, overwrite: bool) -> dict[str, Any] | None:
        """The provenance of the same set where it is there and complete. Another set in its place is refused."""
        there = [path for path in (self.folder / name for name in self.paths) if path.exists()]
        record = self._record()
        if record.get("key") == self.key and (record.get("complete") and there):
            return record
        if there and record.get("key") != self.key and not overwrite:
            raise InputError(
                f"{there[0]} is there and was made otherwise; give --overwrite to replace it, or write elsewhere with --to."
            )
        return None

    def write(self, files: Mapping[str, bytes], provenance: Mapping[str, Any], complete: bool) -> None:
        """Write the files and their provenance; a file that this set does not have goes away."""
        record = {"key": self.key, "complete": False} | dict(provenance)
        self._write_record(record)
        for name in self.paths:
            if name in files:
                write_whole(self.folder / name, files[name])
            else:
                (self.folder / name).unlink(missing_ok=True)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        made = {"complete": complete, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "files": hashes}
        self._write_record(record | made)
        self.note(files)

    def note(self, files: Sequence[str] | Mapping[str, Any]) -> None:
        for path in (*(self.folder / name for name in files), self.provenance):
            note_artifact(self.workspace, path, "dataset", self.key)

    def _write_record(self, record: Mapping[str, Any]) -> None:
        write_whole(self.provenance, json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n")

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads(self.provenance.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none, or not ours: what is there is then another set
            return {}
        return record if isinstance(record, dict) else {}


def json_file(records: Sequence[Any]) -> bytes:
    return json.dumps(records, ensure_ascii=False, indent=1).encode() + b"\n"


def json_lines(records: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
