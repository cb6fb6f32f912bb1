"""Where the server's things lie: its state folder on local disk, its socket, its lock.

The folder is per user and machine, so that a home directory shared by several machines does not mix their servers. The
socket lies beside the state unless that path is too long for a unix socket; never in $XDG_RUNTIME_DIR, which vanishes at
logout.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gpu_graph.errors import ServerError
from gpu_graph.process import machine_id

_LONGEST_SOCKET = 100
"""sun_path holds 108 bytes; some are kept back for the temporary name of a socket that is being made."""


def state_dir() -> Path:
    """The server's folder, made 0700 if it is missing. Raises ServerError when it cannot be, or is open to others."""
    override = os.environ.get("TILLER_STATE_DIR")
    folder = Path(override).absolute() if override else Path.home() / ".local/state/tiller" / machine_id()
    return _private(folder, "set TILLER_STATE_DIR to a folder of your own on a local disk")


def socket_path(state: Path) -> Path:
    """The server's socket: in the state folder, or in a private folder of the temporary one when that path is too long."""
    path = state / "server.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    short = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    # Not $TMPDIR, which can differ between two shells of one user: both must find the same server.
    folder = Path("/tmp") / f"tiller-{os.getuid()}-{short}"
    return _private(folder, "set TILLER_STATE_DIR to a shorter path") / "server.sock"


def _private(folder: Path, mend: str) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ServerError(f"cannot make the server's folder {folder}: {error.strerror}; {mend}") from None
    if status.st_uid != os.getuid():
        raise ServerError(f"the server's folder {folder} belongs to another user; {mend}")
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
