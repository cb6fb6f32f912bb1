"""One command at a time, where what a command writes next follows from what is there.

Two commands that ask the same assistant hear different things. Their records, side by side, would be those of no run at all.
The lock is the operating system's, so a command that is killed leaves none behind.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.atomic import writing
from engine.errors import EngineError


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """EngineError where another command is inside. what: the folder's name in messages."""
    path = folder / ".lock"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError(
                f"Another command is at work on {what}; wait until it has ended, or stop it, and run this one again."
            ) from error
        yield
