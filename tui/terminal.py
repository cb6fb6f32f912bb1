"""The terminal's safety: it is given back whatever happens, and nothing but the app draws on it.

Textual leaves the alternate screen only when its loop still turns. A terminal that stopped reading blocks the loop, so a
signal also starts a watchdog that writes the restoring sequences itself and ends the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from tui.safe_text import clean_for_terminal

_RESTORE = b"\x1b[<u\x1b[?2004l\x1b[?1000;1002;1003;1006l\x1b[?1049l\x1b[?25h\x1b[0m"
_PATIENCE = 1.5
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_MOST_KEPT = 2**16


@contextlib.contextmanager
def leaving_on_signals(leave: Callable[[int], None]) -> Iterator[None]:
    """SIGTERM, SIGHUP and SIGINT call `leave(exit code)`; when the process has not ended soon after, it is ended."""
    attributes = _attributes()

    def handle(number: int, _frame: FrameType | None) -> None:
        code = 128 + number
        watchdog = threading.Timer(_PATIENCE, _end, (code, attributes))
        watchdog.daemon = True
        watchdog.start()
        leave(code)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def only_the_app_draws() -> Iterator[None]:
    """Descriptor 2 leads to a file while the app draws on the terminal; what was written there is shown afterwards.

    A library's warning, or the standard error of a child that builds a graph, would else land in the middle of the screen.
    """
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept, os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace") as screen:
        os.dup2(kept.fileno(), 2)
        before, sys.__stderr__ = sys.__stderr__, screen  # what Textual's driver draws on
        try:
            yield
        finally:
            sys.__stderr__ = before  # type: ignore[misc]
            os.dup2(terminal, 2)
            os.close(terminal)
            kept.seek(max(os.fstat(kept.fileno()).st_size - _MOST_KEPT, 0))
            with contextlib.suppress(OSError):  # the terminal may be gone
                sys.stderr.write(clean_for_terminal(kept.read()))
                sys.stderr.flush()


def _attributes() -> list[Any] | None:
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None


def _end(code: int, attributes: list[Any] | None) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        os.write(descriptor, _RESTORE)
    if attributes is not None:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, attributes)
    os._exit(code)
