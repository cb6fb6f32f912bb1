"""Who a process is, so that a server never mistakes one for another: machine, boot, pid namespace, pid and start time.

Linux /proc only. A zombie counts as dead: it holds no device and runs nothing. Every process of an attempt carries
`TILLER_ATTEMPT_ID` in its environment, which children inherit, however they fork or leave their session.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

ATTEMPT_VARIABLE = "TILLER_ATTEMPT_ID"

GRACE_SECONDS = 10.0
"""Between TERM and KILL."""


@cache
def machine_id() -> str:
    """A stable name of this machine, hashed, since machine-id(5) asks not to publish the original."""
    try:
        source = Path("/etc/machine-id").read_text().strip() or socket.gethostname()
    except OSError:
        source = socket.gethostname()
    return hashlib.sha256(f"tiller:{source}".encode()).hexdigest()[:16]


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@cache
def pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid")  # noqa: PTH115  # the text "pid:[…]" is wanted, not a path


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return None


def parse_stat(stat: str) -> int | None:
    """The start time in a line of /proc/PID/stat (field 22), None for a zombie or dead one. Raises ValueError, IndexError."""
    state, *rest = stat[stat.rindex(")") + 1 :].split()
    return None if state in "ZX" else int(rest[18])


def parent(pid: int) -> int | None:
    """The pid of its parent; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat[stat.rindex(")") + 1 :].split()[1])


def attempt_processes(attempt_ids: Collection[str]) -> dict[str, set[int]]:
    """The living processes of these attempts, from one pass over /proc."""
    wanted = {attempt_id.encode(): attempt_id for attempt_id in attempt_ids}
    found: dict[str, set[int]] = {attempt_id: set() for attempt_id in attempt_ids}
    for pid in _pids():
        owner = wanted.get(_attempt_of(pid))
        if owner is not None and start_ticks(pid) is not None:
            found[owner].add(pid)
    return found


def signal_process(pid: int, attempt_id: str, number: signal.Signals) -> None:
    """Signal the process if it still belongs to the attempt: a recycled pid is never hit."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _attempt_of(pid) == attempt_id.encode():  # checked after opening, so it is the process behind the descriptor
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208  # names are enough, and quicker


def _attempt_of(pid: int) -> bytes:
    marker = ATTEMPT_VARIABLE.encode() + b"="
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's
        return b""
    for entry in environment.split(b"\0"):
        if entry.startswith(marker):
            return entry[len(marker) :]
    return b""
