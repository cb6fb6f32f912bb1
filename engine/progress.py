"""How a step tells how far it is and what it made: to the scheduler's files, and to whoever reads its output.

Owns the two files named by `TILLER_PROGRESS` and `TILLER_ARTIFACTS` and the lines on stderr. Without a terminal it writes few
lines, since they end in a log; with one it redraws a single line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.atomic import writing

_FILE_INTERVAL = 0.2  # seconds between records: the console redraws no faster
_LOG_INTERVAL = 10.0  # seconds between lines of a log
_BAR_WIDTH = 24


class Progress:
    """Counts `done` of `total` under a label. Use as a context manager: leaving it reports the last state."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.done = label, total, 0
        self._reported_at = -_FILE_INTERVAL
        self._logged_at = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        self._report()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._report(last=True)

    def advance(self, count: int = 1) -> None:
        self.done += count
        if time.monotonic() - self._reported_at >= _FILE_INTERVAL:
            self._report()

    def _report(self, last: bool = False) -> None:
        self._reported_at = time.monotonic()
        append_line("TILLER_PROGRESS", {"done": self.done, "total": self.total, "label": self.label})
        if self._terminal:
            filled = _BAR_WIDTH * self.done // max(self.total, 1)
            bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
            print(f"\r{self.label} {bar} {self.done}/{self.total}", end="\n" if last else "", file=sys.stderr, flush=True)
        elif last or self._reported_at - self._logged_at >= _LOG_INTERVAL:
            self._logged_at = self._reported_at
            print(f"{self.label} {self.done}/{self.total}", file=sys.stderr, flush=True)


def notice(message: str) -> None:
    """One line for the reader that is not the step's result: something was dropped, skipped or found done."""
    print(message, file=sys.stderr, flush=True)


def append_line(variable: str, record: dict[str, object]) -> None:
    """Append one JSON line to the file that an environment variable names; outside a task there is none."""
    path = os.environ.get(variable)
    if path:
        # one write call, so lines of several writers never mix
        with writing(Path(path)), Path(path).open("ab", buffering=0) as file:
            file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
