"""Where the shipped models are, and the hashes that say they are what was shipped. Imports nothing heavy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

Which = Literal["base", "tuned"]
WHICH: tuple[Which, Which] = ("base", "tuned")
SHIPPED = Path(__file__).parent / "weights"
_HASHES = "hashes.json"


def weights_path(which: Which) -> Path:
    """The folder of a shipped model, as transformers' `from_pretrained` takes it."""
    return SHIPPED / which


def read_hashes(folder: Path = SHIPPED) -> dict[str, str]:
    """The recorded sha256 of every file, by its path below the folder."""
    return json.loads((folder / _HASHES).read_text())


def file_hashes(folder: Path = SHIPPED) -> dict[str, str]:
    """The sha256 of every file as it is now."""
    files = sorted(path for which in WHICH for path in (folder / which).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_hashes(folder: Path) -> None:
    """Records the hashes of both models' files."""
    (folder / _HASHES).write_text(json.dumps(file_hashes(folder), indent=2) + "\n")
