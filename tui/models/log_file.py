"""A log as bytes: lines found by offset from any place in the file, and a sparse index of line numbers.

Never reads a file whole: the end is found by seeking, pages by looking for newlines around an offset, and the index counts
newlines in chunks and keeps one number for each. Called from a thread, because a disk may be slow. Draws nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tui.safe_text import clean_text

_BLOCK = 2**16
_CHUNK = 2**18
_LAST_LINES = 20
LONGEST = 2**14
"""Bytes of one line that are read to be shown."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line from `start` to `end` (its newline, or the end of the file). raw: what is shown; cut: bytes that are not."""

    start: int
    end: int
    raw: bytes
    cut: int = 0


class LogFile:
    """A file that may grow, be replaced, be cut, or not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.index = LineIndex()
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def exists(self) -> bool:
        return self._descriptor is not None

    def refresh(self) -> bool:
        """Look at the file again; whether it changed. A replaced or cut file starts anew."""
        try:
            status = self.path.stat()
        except OSError:
            gone = self._descriptor is not None
            self.close()
            return gone
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity:
            self.close()
            try:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False
            self._identity = identity
        elif status.st_size == self.size:
            return False
        if status.st_size < self.size:
            self.index = LineIndex()
        self.size = status.st_size
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._identity, self.size, self.index = None, None, 0, LineIndex()

    def before(self, offset: int, count: int) -> list[LogLine]:
        """The last `count` lines that begin before `offset`, itself the start of a line or the end of the file."""
        if offset <= 0 or count <= 0:
            return []
        starts: list[int] = []
        end = offset - 1 if self._read(offset - 1, 1) == b"\n" else offset
        position = end
        while position > 0 and len(starts) < count:
            begin = max(position - _BLOCK, 0)
            block = self._read(begin, position - begin)
            found = block.rfind(b"\n")
            while found >= 0 and len(starts) < count:
                starts.append(begin + found + 1)
                found = block.rfind(b"\n", 0, found)
            position = begin
        if len(starts) < count:
            starts.append(0)
        starts.reverse()
        return self._lines(starts, end)

    def after(self, offset: int, count: int) -> list[LogLine]:
        """The first `count` lines from `offset`, the start of a line."""
        starts = [offset]
        position = offset
        end = self.size
        while position < self.size:
            block = self._read(position, min(_BLOCK, self.size - position))
            if not block:
                break
            found = block.find(b"\n")
            while found >= 0:
                if len(starts) == count:
                    return self._lines(starts, position + found)
                starts.append(position + found + 1)
                found = block.find(b"\n", found + 1)
            position += len(block)
        if starts[-1] >= self.size:
            starts.pop()
            end = self.size - 1
        return self._lines(starts, end)

    def number_of(self, offset: int) -> int | None:
        """The number, from 1, of the line that begins at `offset`; None while the index has not come so far."""
        at = self.index.newlines_before_chunk(offset // _CHUNK)
        if at is None or offset > self.index.indexed:
            return None
        begin = offset // _CHUNK * _CHUNK
        return at + self._read(begin, offset - begin).count(b"\n") + 1

    def extend_index(self, seconds: float) -> bool:
        """Count on for at most so long; whether there is more to count."""
        deadline = time.monotonic() + seconds
        while self.index.indexed < self.size:
            begin = self.index.indexed
            block = self._read(begin, min(_CHUNK - begin % _CHUNK, self.size - begin))
            if not block:
                return False
            self.index.add(block)
            if time.monotonic() > deadline:
                break
        return self.index.indexed < self.size

    def _lines(self, starts: list[int], end: int) -> list[LogLine]:
        if not starts:
            return []
        ends = [following - 1 for following in starts[1:]] + [end]
        if end - starts[0] <= _CHUNK:  # one read for the page
            data = self._read(starts[0], end - starts[0])
            raws = [data[start - starts[0] : stop - starts[0]] for start, stop in zip(starts, ends, strict=True)]
            return [_cut(start, stop, raw) for start, stop, raw in zip(starts, ends, raws, strict=True)]
        return [self._line(start, stop) for start, stop in zip(starts, ends, strict=True)]

    def _line(self, start: int, end: int) -> LogLine:
        """One line; of a very long one its beginning, or its last state when it is progress."""
        length = end - start
        if length <= LONGEST:
            return LogLine(start, end, self._read(start, length))
        tail = self._read(end - LONGEST, LONGEST)
        if b"\r" in tail.rstrip(b"\r"):
            return LogLine(start, end, tail)
        return LogLine(start, end, self._read(start, LONGEST), length - LONGEST)

    def _read(self, offset: int, length: int) -> bytes:
        if self._descriptor is None or length <= 0:
            return b""
        parts: list[bytes] = []
        while length > 0 and (part := os.pread(self._descriptor, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)


def _cut(start: int, end: int, raw: bytes) -> LogLine:
    if len(raw) <= LONGEST:
        return LogLine(start, end, raw)
    tail = raw[-LONGEST:]
    if b"\r" in tail.rstrip(b"\r"):
        return LogLine(start, end, tail)
    return LogLine(start, end, raw[:LONGEST], len(raw) - LONGEST)


def last_text(path: Path) -> str:
    """The last line of a log that says anything, as safe text; empty when there is none."""
    log = LogFile(path)
    log.refresh()
    try:
        said = [clean_text(line.raw).strip() for line in log.before(log.size, _LAST_LINES)]
    finally:
        log.close()
    return next((text for text in reversed(said) if text), "")


class LineIndex:
    """How many newlines lie before each chunk."""

    def __init__(self) -> None:
        self.indexed = 0
        self.newlines = 0
        self._marks = [0]

    def add(self, block: bytes) -> None:
        """The bytes that follow what is indexed, up to a chunk's border at most."""
        self.indexed += len(block)
        self.newlines += block.count(b"\n")
        if self.indexed % _CHUNK == 0:
            self._marks.append(self.newlines)

    def newlines_before_chunk(self, chunk: int) -> int | None:
        return self._marks[chunk] if chunk < len(self._marks) else None
