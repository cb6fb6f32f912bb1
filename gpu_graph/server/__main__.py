"""`python -m gpu_graph.server`: take the lock, make the socket, adopt what runs, serve until idle or told to stop.

The lock file decides who is the server; the socket is only how it is reached, and is made anew when it vanishes.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpu_graph.devices import find_inventory, find_provider
from gpu_graph.errors import GraphError
from gpu_graph.files import write_whole
from gpu_graph.paths import socket_path, state_dir
from gpu_graph.protocol import MAX_FRAME, PROTOCOL
from gpu_graph.server.connection import Connection
from gpu_graph.server.handlers import Handlers
from gpu_graph.server.history import History
from gpu_graph.server.host import Host
from gpu_graph.server.progress_watch import watch_progress
from gpu_graph.version import VERSION

IDLE_SECONDS = 600.0
_SOCKET_CHECK_SECONDS = 2.0

log = logging.getLogger("tiller.server")


class Server:
    """The process: socket, signals, idleness. The runs are the host's."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._socket = socket_path(state)
        provider = find_provider(os.environ)
        self._host = Host(state, provider, find_inventory(provider, os.environ), _server_id(state))
        self._handlers = Handlers(self._host, History())
        self._connections = 0
        self._last_used = time.monotonic()
        self._stop = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._inode = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._host.adopt_runs()
        await self._listen()
        log.info("serving, pid %d, %s", os.getpid(), self._socket)
        keepers = [loop.create_task(watch_progress(self._host)), loop.create_task(self._keep_house())]
        await self._stop.wait()
        for keeper in keepers:
            keeper.cancel()
        self._host.finish()
        with suppress(FileNotFoundError):
            if self._socket.stat().st_ino == self._inode:
                self._socket.unlink()
        log.info("stopped, %d runs left to the next server", len(self._host.runs))

    async def _listen(self) -> None:
        """Make the socket under a private name and rename it into place, so that it is never open to others or half there."""
        temporary = self._socket.with_name(f"{self._socket.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener = await asyncio.start_unix_server(self._connected, temporary, limit=MAX_FRAME, backlog=128)
        finally:
            os.umask(before)
        temporary.rename(self._socket)
        self._inode = self._socket.stat().st_ino
        if self._listener:
            self._listener.close()
        self._listener = listener

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = {"tiller": VERSION, "protocol": PROTOCOL, "pid": os.getpid(), "socket": str(self._socket)}
        self._connections += 1
        try:
            special = {"stop": self._stop_request}
            with suppress(asyncio.CancelledError):  # our own end; asyncio's streams would log it as a fault
                await Connection(reader, writer, self._host, self._handlers, greeting, special).serve()
        finally:
            self._connections -= 1
            self._last_used = time.monotonic()

    def _stop_request(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{cancel}` → `{running, cancelled}`: end this server, and with cancel its runs first; else its tasks go on."""
        active = len({(key[0], key[1]) for key in self._host.scheduler.held})
        if request.get("cancel"):
            for run_id in list(self._host.runs):
                self._host.cancel(run_id, None)
            self._keep_until_ended = asyncio.get_running_loop().create_task(self._stop_when_ended())
        else:
            asyncio.get_running_loop().call_later(0.05, self._stop.set)  # after the reply has left
        return {"running": active, "cancelled": bool(request.get("cancel"))}

    async def _stop_when_ended(self) -> None:
        while self._host.runs:
            await asyncio.sleep(0.1)
        self._stop.set()

    async def _keep_house(self) -> None:
        """Make the socket anew when it vanished under us; leave after ten minutes without work or company."""
        while True:
            await asyncio.sleep(_SOCKET_CHECK_SECONDS)
            try:
                await self._keep_socket()
            except OSError as error:
                log.error("socket %s cannot be made: %s; trying again", self._socket, error)
            if self._host.runs or self._connections:
                self._last_used = time.monotonic()
            elif time.monotonic() - self._last_used > IDLE_SECONDS:
                self._stop.set()

    async def _keep_socket(self) -> None:
        try:
            present = self._socket.stat().st_ino == self._inode
        except FileNotFoundError:
            present = False
        if not present:
            log.warning("socket %s vanished; making it anew", self._socket)
            self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._listen()


def _server_id(state: Path) -> str:
    """The random name of this state folder's servers, made once."""
    path = state / "server-id"
    if not path.exists():
        write_whole(path, secrets.token_hex(8).encode())
    return path.read_text()


def main() -> int:
    state = state_dir()
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # another server lives; whoever started us will reach it
    os.chdir("/")
    os.umask(0o077)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        server = Server(state)
    except GraphError as error:
        # The client that started us reads this file and shows the sentence.
        write_whole(state / "start-error.json", json.dumps({"error": str(error)}).encode())
        return 1
    (state / "start-error.json").unlink(missing_ok=True)
    asyncio.run(server.run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
