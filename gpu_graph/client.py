"""The client's end of the socket: reach the server, starting it when there is none, ask, and listen.

Blocking and thread-free: a caller that must not block (the console) uses it from a worker thread. One Client is one
connection; a subscription takes a connection of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gpu_graph import protocol
from gpu_graph.errors import GraphError, ServerError
from gpu_graph.paths import socket_path, state_dir
from gpu_graph.process import ATTEMPT_VARIABLE
from gpu_graph.version import VERSION

if TYPE_CHECKING:
    from subprocess import Popen

_START_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.02


class Client:
    """One connection to the server; a context manager. `greeting` holds the server's version, protocol, pid and socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")
        self._next_id = 0
        try:
            self.greeting = self._read()
        except ServerError:
            self.close()
            raise

    @classmethod
    def connect(cls, *, start: bool = True) -> Self:
        """Reach this user's server. start: begin one when there is none. Raises ServerError when that fails."""
        state = state_dir()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            connection = _try_connect(socket_path(state))
            if connection is None and start:
                connection = _start_server(state)
            if connection is None:
                raise ServerError("no server is running; start one with: tiller server start")
            try:
                client = cls(connection)
                break
            except ServerError:  # it took the call in the moment in which it ended; the next one will answer
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)
        if client.greeting.get("protocol") != protocol.PROTOCOL:
            client.close()
            raise ServerError(
                f"the running server is tiller {client.greeting.get('tiller')}, this is {VERSION}, and they do not understand "
                "each other; tiller server stop ends the server (its tasks go on), the next command starts a new one"
            )
        return client

    def request(self, op: str, **fields: Any) -> Any:
        """Ask one thing. Raises GraphError with the server's sentence, ServerError when the connection is gone."""
        self._next_id += 1
        try:
            self._socket.sendall(protocol.encode({"id": self._next_id, "op": op, **fields}))
        except OSError as error:
            raise ServerError(f"the server is gone: {error.strerror}") from None
        return self._result()

    def subscribe(self, *, workspace: Path, run: str | None = None, from_seq: int | None = None) -> Iterator[dict[str, Any]]:
        """Events for ever: `{"seq", "kind", …}`, kind snapshot, run, task or ended. ServerError when the server ends."""
        self.request("subscribe", workspace=str(workspace), run=run, from_seq=from_seq)
        while True:
            yield self._result()["event"]

    def close(self) -> None:
        """End the connection; a thread that is waiting in `subscribe` gets a ServerError."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _result(self) -> Any:
        parts: list[str] = []
        while True:
            reply = self._read()
            if "error" in reply:
                raise GraphError(reply["error"])
            if "part" in reply:
                parts.append(reply["part"])
            elif "parts" not in reply:
                return reply["result"]
            elif reply["of"] == "error":
                raise GraphError(json.loads("".join(parts)))
            else:
                return json.loads("".join(parts))

    def _read(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except (OSError, ValueError) as error:  # ValueError: closed by another thread
            raise ServerError(f"the server is gone: {error}") from None
        if not line.endswith(b"\n"):
            raise ServerError("the server is gone; the next command starts a new one, which takes over what runs")
        return protocol.decode(line)


def server_status() -> Mapping[str, Any] | None:
    """The greeting of the running server, also of one with another protocol, or None; never starts one."""
    try:
        connection = _try_connect(socket_path(state_dir()))
        if connection is None:
            return None
        with Client(connection) as client:
            return client.greeting
    except ServerError:
        return None


def _try_connect(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise ServerError(f"cannot reach the server at {path}: {error.strerror}") from None
    return connection


def _start_server(state: Path) -> socket.socket:
    """Start a detached server and wait until it answers. Several clients may: the lock lets one of their servers live."""
    problem = state / "start-error.json"
    path = socket_path(state)
    with (state / "start-lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)  # one client starts, the others find it started
        if (connection := _try_connect(path)) is not None:
            return connection
        problem.unlink(missing_ok=True)
        server = _spawn_server(state)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if (connection := _try_connect(path)) is not None:
                return connection
            ended = server.poll()
            if ended == 0:  # it found the lock taken, by a server that is about to leave
                server = _spawn_server(state)
            elif ended is not None:
                said = json.loads(problem.read_text())["error"] if problem.exists() else f"see {state / 'server.log'}"
                raise ServerError(f"the server could not start: {said}")
            time.sleep(_LOOK_AGAIN_SECONDS)
    raise ServerError(f"the server did not answer within {_START_SECONDS:g} s; see {state / 'server.log'}")


def _spawn_server(state: Path) -> Popen[bytes]:
    import subprocess  # slow to load, and most commands find the server running

    # A client may itself run in a task. The server must not look like a process of that task, or it would end with it.
    environment = {name: value for name, value in os.environ.items() if name != ATTEMPT_VARIABLE}
    with (state / "server.log").open("ab") as log:
        os.fchmod(log.fileno(), 0o600)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "gpu_graph.server"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=environment,
        )
