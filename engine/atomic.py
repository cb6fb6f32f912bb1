"""Files that are there whole or not at all, and the one sentence a user reads when the disk refuses.

Owns writing by temporary file, fsync and rename, and the translation of write failures. It knows nothing of what is written.
"""

from __future__ import annotations

import errno
import glob
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import EngineError

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again, it goes on from what is already written",
    errno.EDQUOT: "your disk quota is used up: free some space and run the same command again",
    errno.EROFS: "the file system is read-only: choose a workspace on a writable one",
    errno.EACCES: "permission denied: make the folder writable or choose another workspace",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating-system failure inside the block into one sentence that names `path` and the mend."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"{error.strerror or error}: mend that and run the same command again")
        raise EngineError(f"Could not write {path}; {advice}.") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` so that a reader, or a crash at any moment, sees all of it or the file as it was before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder to write into, which takes its name when the block ends well and is gone when it does not. Where another
    process was first, its folder stays: equal names mean equal content. What killed processes left is removed: it may be as
    large as a model."""
    ours = f".{path.name}.{platform.node()}."
    temporary = path.with_name(f"{ours}{os.getpid()}.tmp")
    with writing(path):
        for left in path.parent.glob(f"{glob.escape(ours)}[0-9]*.tmp"):
            if not _runs(int(left.name.removeprefix(ours).removesuffix(".tmp"))):
                shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for file in (file for file in temporary.rglob("*") if file.is_file()):
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            if not path.exists():
                temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _sync_folder(path.parent)


def _runs(process: int) -> bool:
    """Whether a process of this machine has that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
