"""A thread that reads one log for a view: it obeys keys at once, looks for growth twice a second, and counts lines between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path

from tui.models.log_window import LogWindow, Shown

_LOOK_SECONDS = 0.5
_COUNT_SECONDS = 0.03

Command = Callable[[LogWindow], None]


class LogReader:
    """Reads until `close`. `on_shown` is called in the thread, when what is shown has changed."""

    def __init__(self, path: Path, height: int, on_shown: Callable[[Shown], None]) -> None:
        self.path = path
        self._on_shown = on_shown
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._window = LogWindow(path, height)
        threading.Thread(target=self._read, name=f"tiller-log-{path.name}", daemon=True).start()

    def ask(self, command: Command) -> None:
        """Move the window: `reader.ask(lambda window: window.move(1))`."""
        self._commands.put(command)

    def close(self) -> None:
        self._commands.put(None)

    def _read(self) -> None:
        window, last = self._window, None
        counting = False
        window.look()
        while True:
            shown = window.shown()
            if shown != last:
                self._on_shown(shown)
                last = shown
            try:
                command = self._commands.get(timeout=0 if counting else _LOOK_SECONDS)
            except queue.Empty:
                if not counting:
                    window.look()
            else:
                if command is None:
                    window.file.close()
                    return
                command(window)
                self._obey_waiting(window)
            counting = window.file.extend_index(_COUNT_SECONDS)

    def _obey_waiting(self, window: LogWindow) -> None:
        """Keys come faster than a terminal draws: all that wait are obeyed before one picture is shown."""
        while not self._commands.empty():
            command = self._commands.get()
            if command is None:
                self._commands.put(None)
                return
            command(window)
