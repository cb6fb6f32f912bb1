"""TCP ports of this host: one that is free, who listens on one, and asking whoever does. Linux /proc only.

That something answers on a port does not say that it is ours: another program may have taken the port since it was chosen.
So a listening socket is traced to the process that holds it.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from gpu_graph.process import attempt_processes

_LISTENING = "0A"
_HEAD_BYTES = 4096
_TRIES = 100
_USUAL_PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who listens on a port. own: a process of the attempt does, where 127.0.0.1 reaches it. exposed: the addresses of the
    attempt's sockets that other machines can reach. foreign: a process that is not the attempt's does."""

    own: bool = False
    exposed: tuple[str, ...] = ()
    foreign: bool = False


def choose_port(had: int | None, taken: Collection[int]) -> int:
    """A port of 127.0.0.1 where nobody listens: the one had before when that is so for it, else any that is not taken."""
    if had is not None and _bound(had) == had:
        return had
    for _ in range(_TRIES):
        if (port := _bound(0)) is not None and port not in taken:
            return port
    # No socket can be made now. If this one is not free the service will not get it, and is started again elsewhere.
    return random.choice([port for port in _USUAL_PORTS if port not in taken])


def listeners(port: int, attempt_id: str) -> Listeners:
    """Who listens on the port now. Raises OSError when /proc cannot be read for now."""
    sockets = dict(_listening(port))
    if not sockets:
        return Listeners()
    held: set[str] = set()
    for pid in attempt_processes([attempt_id])[attempt_id]:
        held |= _sockets_of(pid)
    own = [address for inode, address in sockets.items() if inode in held]
    exposed = tuple(sorted(str(address) for address in own if not address.is_loopback))
    return Listeners(any(_reachable(address) for address in own), exposed, len(own) < len(sockets))


async def answers(port: int, path: str, key: str | None, seconds: float) -> bool:
    """Whether a GET of the path on 127.0.0.1 gets a status of 2xx in time. The key goes as a bearer token."""
    bearer = "" if key is None else f"Authorization: Bearer {key}\r\n"
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{bearer}User-Agent: tiller\r\nConnection: close\r\n\r\n"
    writer = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_HEAD_BYTES)
            writer.write(request.encode())
            status = await reader.readline()
    except (OSError, TimeoutError, ValueError):  # ValueError: a first line without an end
        return False
    finally:
        if writer is not None:
            writer.close()
    words = status.split()
    return len(words) > 1 and words[0].startswith(b"HTTP/") and len(words[1]) == 3 and words[1].startswith(b"2")


def _bound(port: int) -> int | None:
    """The port that a socket gets when it asks for this one (0: any); None when it gets none."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, or a port that was just left is refused
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return None
        return trial.getsockname()[1]


def _listening(port: int) -> Iterator[tuple[str, IPv4Address | IPv6Address]]:
    """inode → address of the sockets that listen on the port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a system without IPv6
            continue
        for line in lines:
            words = line.split()
            host, _, number = words[1].partition(":")
            if words[3] == _LISTENING and int(number, 16) == port:
                yield words[9], _address(host)


def _address(said: str) -> IPv4Address | IPv6Address:
    """/proc writes an address as 32-bit words in the machine's byte order."""
    groups = [int(said[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(said), 8)]
    if len(groups) == 1:
        return IPv4Address(groups[0])
    address = IPv6Address(b"".join(groups))
    return address.ipv4_mapped or address


def _reachable(address: IPv4Address | IPv6Address) -> bool:
    return address == IPv4Address("127.0.0.1")


def _sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process holds."""
    folder = f"/proc/{pid}/fd"
    found: set[str] = set()
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names are enough, and quicker
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return found
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115  # the text "socket:[…]" is wanted, not a path
        except OSError:  # it was closed meanwhile
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
