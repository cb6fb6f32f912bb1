"""What part of a log is looked at: where it begins, whether it follows the end, how keys move it. No clock, no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tui.models.log_file import LogFile, LogLine


@dataclass(frozen=True, slots=True)
class Shown:
    """What a log view draws. number: of the last line shown; total: lines; None while they are being counted."""

    lines: tuple[LogLine, ...] = ()
    follow: bool = True
    exists: bool = False
    size: int = 0
    number: int | None = None
    total: int | None = None

    @property
    def below(self) -> int | None:
        """Lines under the last one shown."""
        return None if self.number is None or self.total is None else self.total - self.number


class LogWindow:
    """`height` lines of a log from the line that begins at `top`, or its last ones while it follows."""

    def __init__(self, path: Path, height: int) -> None:
        self.file = LogFile(path)
        self.follow = True
        self.height = height
        self._top = 0
        self._lines: list[LogLine] = []

    def look(self) -> bool:
        """Look at the file again; whether what is shown may differ."""
        changed = self.file.refresh()
        if changed:
            self._top = min(self._top, self.file.size)
            self._load()
        return changed

    def resize(self, height: int) -> None:
        self.height = height
        self._load()

    def move(self, lines: int) -> None:
        """Down, or up with a negative number. Upwards ends following; downwards past the end stays at the end."""
        if lines < 0:
            self.follow = False
            earlier = self.file.before(self._top, -lines)
            self._top = earlier[0].start if earlier else 0
        elif not self.follow:
            later = self.file.after(self._top, lines + self.height)
            if len(later) < lines + self.height:
                self._load_end()
                return
            self._top = later[lines].start
        self._load()

    def first(self) -> None:
        self.follow = False
        self._top = 0
        self._load()

    def last(self) -> None:
        self.follow = True
        self._load()

    def toggle_follow(self) -> None:
        self.follow = not self.follow
        self._load()

    def shown(self) -> Shown:
        file = self.file
        done = file.index.indexed >= file.size
        partial = bool(self._lines) and self._lines[-1].end == file.size
        total = file.index.newlines + self._ends_without_newline() if done else None
        if not self._lines:
            number = 0
        elif self.follow and total is not None and (partial or self._lines[-1].end + 1 == file.size):
            number = total
        else:
            number = file.number_of(self._lines[-1].start)
        return Shown(tuple(self._lines), self.follow, file.exists, file.size, number, total)

    def _load(self) -> None:
        if self.follow:
            self._load_end()
        else:
            self._lines = self.file.after(self._top, self.height)

    def _load_end(self) -> None:
        self._lines = self.file.before(self.file.size, self.height)
        self._top = self._lines[0].start if self._lines else 0

    def _ends_without_newline(self) -> int:
        last = self.file.before(self.file.size, 1)
        return int(bool(last) and last[0].end == self.file.size)
