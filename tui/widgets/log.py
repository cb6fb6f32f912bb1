"""A view of one log: draws what a reader thread found, as safe text. It reads no file itself."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path

from rich.cells import cell_len
from textual.events import Resize
from textual.message import Message

from tui.log_reader import Command, LogReader
from tui.models.log_file import LogLine
from tui.models.log_window import Shown
from tui.models.text import Line, Span, Tone, line
from tui.safe_text import clean_line
from tui.widgets.painted import Painted

_STEP = 20
"""Cells that one key press moves sideways."""


class LogView(Painted):
    """Follows a file's end until a key moves away from it."""

    DEFAULT_CSS = "LogView { width: 1fr; height: 1fr; }"

    class Read(Message):
        """The reader found something else to show."""

        def __init__(self, turn: int, shown: Shown) -> None:
            super().__init__()
            self.turn = turn
            self.shown = shown

    class Drawn(Message):
        """What is shown has changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shown = Shown()
        self._reader: LogReader | None = None
        self._path: Path | None = None
        self._instead = ""
        self._shift = 0
        self._turn = 0

    def look_at(self, path: Path | None, instead: str) -> None:
        """Show this file; None: nothing. instead: what to say while there is no output."""
        changed, self._instead = instead != self._instead, instead
        if path != self._path:
            self._path, self._shift = path, 0
            self._stop()
            self.shown = Shown()
            self._start()
            changed = True
        if changed:
            self._draw()

    def ask(self, command: Command) -> None:
        if self._reader is not None:
            self._reader.ask(command)

    def shift(self, steps: int) -> None:
        """Show what lies further right of long lines."""
        longest = max((_cells(_spans(shown)) for shown in self.shown.lines), default=0)
        self._shift = max(0, min(self._shift + steps * _STEP, max(longest - _STEP, 0)))
        self._draw()

    @property
    def shifted(self) -> int:
        return self._shift

    @property
    def page(self) -> int:
        return max(self.size.height - 1, 1)

    def on_resize(self, event: Resize) -> None:
        height = event.size.height
        if self._reader is None:
            self._start()
        else:
            self.ask(lambda window: window.resize(height))
        self._draw()

    def on_unmount(self) -> None:
        self._stop()

    def on_log_view_read(self, message: Read) -> None:
        message.stop()
        if message.turn == self._turn:
            self.shown = message.shown
            self._draw()
            self.post_message(self.Drawn())

    def _start(self) -> None:
        if self._path is None or not self.size.height:
            return
        self._turn += 1
        turn = self._turn  # what an earlier reader still says is not heard
        self._reader = LogReader(self._path, self.size.height, lambda shown: self._tell(turn, shown))

    def _tell(self, turn: int, shown: Shown) -> None:
        """Called in the reader's thread; posting a message is the one thing that a thread may do."""
        with contextlib.suppress(RuntimeError):  # the console is being left
            self.post_message(self.Read(turn, shown))

    def _stop(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _draw(self) -> None:
        if self.shown.lines:
            self.paint([Line(tuple(_from(_spans(shown), self._shift))) for shown in self.shown.lines])
        elif self._path is not None or self._instead:
            said = "No output yet." if self._path is not None else "Not started."
            self.paint([line((said, Tone.DONE)), line((self._instead, Tone.DONE))])
        else:
            self.paint([])


@lru_cache(maxsize=1024)
def _spans(shown: LogLine) -> tuple[Span, ...]:
    spans: list[Span] = list(clean_line(shown.raw))
    if shown.cut:
        spans.append((f" … {shown.cut:,} bytes more", Tone.ATTENTION))
    return tuple(spans)


def _cells(spans: tuple[Span, ...]) -> int:
    return sum(cell_len(text) for text, _ in spans)


def _from(spans: tuple[Span, ...], shift: int) -> list[Span]:
    """Spans without their first `shift` cells."""
    kept: list[Span] = []
    for text, style in spans:
        while text and shift > 0:
            shift -= cell_len(text[0])
            text = text[1:]
        kept.append((text, style))
    return kept
