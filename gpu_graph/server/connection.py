"""One client's connection: greeting, requests and replies in order, and its subscriptions. Owns framing and peer checks."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_graph import protocol
from gpu_graph.errors import GraphError, ServerError
from gpu_graph.server.handlers import Handlers
from gpu_graph.server.host import Host
from gpu_graph.server.publisher import Changed, Subscriber

_PAUSE_SECONDS = 0.03
"""Between two batches of events: what changes several times within it is told once."""

log = logging.getLogger("tiller.server")


class Connection:
    """Serves one client until it leaves. `special`: operations of the server itself (stop)."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: Host,
        handlers: Handlers,
        greeting: dict[str, Any],
        special: dict[str, Callable[[dict[str, Any]], Any]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self._handlers = handlers
        self._greeting = greeting
        self._operations = {**handlers.operations, **special}
        self._pushing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        try:
            if not _same_user(self._writer):
                return
            self._writer.write(protocol.encode(self._greeting))
            while line := await self._reader.readline():
                await self._answer(protocol.decode(line))
        except (ServerError, ValueError) as error:  # ValueError: a frame over the limit
            self._writer.write(protocol.encode({"id": None, "error": f"{error}; this connection is closed"}))
        except ConnectionError:
            return
        finally:
            if self._pushing:
                self._pushing.cancel()
            self._writer.close()

    async def _answer(self, request: dict[str, Any]) -> None:
        request_id, name = request.get("id"), request.get("op")
        try:
            if name == "subscribe":
                result = self._subscribe(request)
            elif (operation := self._operations.get(str(name))) is not None:
                result = operation(request)
            else:
                raise GraphError(f"this server does not know {name!r}; it speaks protocol {protocol.PROTOCOL}")
        except GraphError as error:
            for frame in protocol.error_frames(request_id, str(error)):
                self._writer.write(frame)
        except Exception:  # noqa: BLE001  # a fault in one request must not end a server that others' runs depend on
            log.error("request %s failed:\n%s", name, traceback.format_exc())
            self._writer.write(protocol.encode({"id": request_id, "error": f"{name}: a fault in the server, see its log"}))
        else:
            for frame in protocol.reply_frames(request_id, result):
                self._writer.write(frame)
        await self._writer.drain()

    def _subscribe(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{run | null, workspace, from_seq | null}` → `{seq}`; `{"event": …}` frames follow on this connection."""
        if self._pushing:
            raise GraphError("this connection has a subscription already; open another")
        workspace, run_id, from_seq = self._handlers.subscription(request)
        subscriber = self._host.publisher.subscribe(run_id, from_seq)
        self._pushing = asyncio.get_running_loop().create_task(self._push(subscriber, workspace))
        return {"seq": self._host.publisher.seq}

    async def _push(self, subscriber: Subscriber, workspace: Path) -> None:
        """Send what changed, at the reader's pace: `drain` waits for it while changes gather, each name once.

        Only the last event of a batch carries the batch's seq: a reader that resumes in its midst is told all of it again.
        """
        known = 0
        try:
            while True:
                changed, snapshot = await subscriber.take()
                seq = self._host.publisher.seq
                events = self._events(subscriber.run_id, workspace, changed, snapshot)
                for number, event in enumerate(events, start=1):
                    self._send({**event, "seq": seq if number == len(events) else known})
                known = seq
                await self._writer.drain()
                await asyncio.sleep(_PAUSE_SECONDS)
        except ConnectionError:
            return
        except Exception:  # noqa: BLE001  # a reader that waits for events which never come is worse than one that is hung up on
            log.error("a subscription failed:\n%s", traceback.format_exc())
            self._writer.close()
        finally:
            self._host.publisher.unsubscribe(subscriber)

    def _events(self, run_id: str | None, workspace: Path, changed: list[Changed], snapshot: bool) -> list[dict[str, Any]]:
        living, handlers = self._host.runs, self._handlers
        events: list[dict[str, Any]] = []
        if snapshot:
            events.append({"kind": "snapshot", **self._snapshot(run_id, workspace)})
        runs = {name: handlers.run_summary(self._host.workspace_of[name], name) for name, _ in changed if name in living}
        for name, task in changed:
            if name in living and task is None:
                events.append({"kind": "run", "run": runs[name]})
            elif name in living:
                events.append({"kind": "task", "run": runs[name], "task": handlers.live_task(name, str(task))})
        for name in {name: None for name, _ in changed if name not in living}:  # its last changes, all at once
            events.append({"kind": "ended", "run": handlers.run_with_tasks(self._host.workspace_of[name], name)})
        return events

    def _snapshot(self, run_id: str | None, workspace: Path) -> dict[str, Any]:
        if run_id is not None:
            return {"run": self._handlers.run_with_tasks(workspace, run_id)}
        return self._handlers.operations["runs"]({"workspace": str(workspace)})

    def _send(self, event: dict[str, Any]) -> None:
        for frame in protocol.reply_frames(None, {"event": event}):
            self._writer.write(frame)


def _same_user(writer: asyncio.StreamWriter) -> bool:
    """The socket's folder is 0700 already; this holds when somebody opened it up."""
    peer: socket.socket = writer.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid == os.getuid()
