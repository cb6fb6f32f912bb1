"""Append-only JSONL segments: one writer = one attempt = one file, so there are no locks and merging is copying files.

Owns naming, appending, and reading back with the torn last line of a killed writer dropped. It knows no record kind.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.atomic import writing
from engine.errors import EngineError
from engine.progress import notice


def writer_name() -> str:
    """The attempt's id where the scheduler gave one, else process, time and chance: no two writers share a name."""
    attempt = os.environ.get("TILLER_ATTEMPT_ID", "")
    if attempt:
        return re.sub(r"[^A-Za-z0-9_=+-]", "_", attempt)[:120]
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{secrets.token_hex(2)}"


class Segment:
    """One writer's file in `folder`. Every `append` is a whole line on disk or, when the disk refuses, nothing.

    The file is made at the first record, under a name nobody used before: a restarted writer with the same attempt id takes the
    next number, so it never continues behind a torn line.
    """

    def __init__(self, folder: Path, writer: str) -> None:
        self._folder, self._writer = folder, writer
        self._descriptor: int | None = None
        self._size = 0
        self.path: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor is not None and self.path is not None:
            try:
                with writing(self.path):
                    os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)
                self._descriptor = None

    def append(self, *records: Mapping[str, Any]) -> None:
        """Write the records as lines in one go; they can be read by others as soon as this returns."""
        if not records:
            return
        lines = b"".join(json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n" for record in records)
        descriptor, path = self._open()
        with writing(path):
            try:
                written = 0
                while written < len(lines):  # a nearly full disk takes a part of a write without an error
                    written += os.write(descriptor, lines[written:])
            except OSError:
                self._take_back(descriptor, path)
                raise
        self._size += len(lines)

    def _open(self) -> tuple[int, Path]:
        if self._descriptor is None or self.path is None:
            with writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                self.path, self._descriptor = _create_unused(self._folder, self._writer)
        return self._descriptor, self.path

    def _take_back(self, descriptor: int, path: Path) -> None:
        """Cut the file back to its last whole record; an empty one goes away."""
        os.ftruncate(descriptor, self._size)
        if self._size == 0:
            path.unlink()
            os.close(descriptor)
            self._descriptor = self.path = None


def _create_unused(folder: Path, writer: str) -> tuple[Path, int]:
    number = 1
    while True:
        path = folder / (f"{writer}.jsonl" if number == 1 else f"{writer}.{number}.jsonl")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            number += 1


def segments_of(folder: Path) -> list[Path]:
    """The segments in `folder`, oldest first, so that later records win where ids repeat."""
    if not folder.is_dir():
        return []
    return sorted(folder.glob("*.jsonl"), key=lambda path: (path.stat().st_mtime_ns, path.name))


def read_segment(path: Path) -> Iterator[dict[str, Any]]:
    """The records of one segment, a line at a time; a last line that a killed writer tore is dropped, with a notice."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                notice(f"{path}: dropped a torn last line ({len(line)} bytes); its writer was stopped in the middle of it")
                return
            try:
                record = json.loads(line)
            except ValueError as error:
                raise EngineError(
                    f"{path}, line {number} is not JSON ({error}); remove that line, or the file, and run again."
                ) from error
            if not isinstance(record, dict):
                raise EngineError(f"{path}, line {number} is not a record; remove that line, or the file, and run again.")
            yield record
