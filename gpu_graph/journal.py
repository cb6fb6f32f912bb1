"""The journal of a run: append-only JSON lines, each with its own checksum; the only source of truth of a run's state.

Owns the file format and durability. It does not know what records mean. A line is the record's JSON with a last member
"crc" (CRC-32 of the bytes before it, 8 hex digits), so each line is plain JSON for other tools and a torn or damaged one is
noticed. A crash can only tear the last line: it is dropped on reading and cut off before the next append. Damage anywhere
else is an error that names the line.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from gpu_graph.errors import GraphError

FORMAT = 1
_CRC = b',"crc":"'


def encode(record: Mapping[str, Any]) -> bytes:
    """One line, newline included. The record must not be empty."""
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()[:-1]
    return b'%s%s%08x"}\n' % (body, _CRC, zlib.crc32(body))


def decode(line: bytes) -> dict[str, Any] | None:
    """The record of one whole line, or None when the line is torn or damaged."""
    body, found, rest = line.rpartition(_CRC)
    if not found or rest != b'%08x"}\n' % zlib.crc32(body):
        return None
    try:
        record = json.loads(body + b"}")
    except ValueError:
        return None
    return cast("dict[str, Any]", record) if isinstance(record, dict) else None


def read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """All whole records, and the length in bytes that they fill (what follows is a torn tail).

    Raises GraphError when a line other than the last is damaged, FileNotFoundError when there is no journal.
    """
    records: list[dict[str, Any]] = []
    size = 0
    with path.open("rb") as file:
        lines = file.readlines()
    for number, line in enumerate(lines, start=1):
        record = decode(line)
        if record is None:
            if number == len(lines):
                break
            raise GraphError(f"{path}: line {number} is damaged; restore the file from a backup or remove the run's folder")
        records.append(record)
        size += len(line)
    return records, size


class Journal:
    """A journal open for appending by its one writer.

    `append` buffers; `write` hands all of it to the system, which survives this process; `sync` also waits for the disk, which
    survives the machine. When either raises OSError nothing is lost, and it can be repeated.
    """

    def __init__(self, path: Path, *, size: int = 0) -> None:
        """`size`: where whole records end (see `read`); a torn tail after it is cut off."""
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, size)
        self._end = size
        self._pending: list[bytes] = []
        self._durable = True

    def append(self, record: Mapping[str, Any]) -> None:
        self._pending.append(encode(record))

    def write(self) -> None:
        if not self._pending:
            return
        self._durable = False
        data = memoryview(b"".join(self._pending))
        at = self._end
        while data:
            written = os.pwrite(self._file, data, at)
            data, at = data[written:], at + written
        self._end = at
        self._pending.clear()

    def sync(self) -> None:
        self.write()
        if not self._durable:
            os.fdatasync(self._file)
            self._durable = True

    def close(self) -> None:
        os.close(self._file)
