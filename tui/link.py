"""The console's line to the server, kept in threads: a subscription that reconnects, and requests.

What arrives waits in an inbox until the app takes it; nothing here knows a widget. Threads are daemons and `close` shuts
their sockets, so that leaving never waits for a server.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_graph.client import Client
from gpu_graph.errors import GraphError, ServerError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


@dataclass(frozen=True, slots=True)
class LinkState:
    """lost_at: since when there is no server, None while there is one (or the first is being reached)."""

    connected: bool = False
    lost_at: float | None = None
    problem: str = ""


class Link:
    """One console's connections. `wake` is called from a thread when something urgent has come in."""

    def __init__(self, workspace: Path, wake: Callable[[], None]) -> None:
        self.state = LinkState()
        self._workspace = workspace
        self._wake = wake
        self._inbox: deque[dict[str, Any]] = deque()
        self._closed = threading.Event()
        self._retry = threading.Event()
        self._may_start = True
        self._listening: Client | None = None
        self._asking: Client | None = None
        self._asking_lock = threading.Lock()

    def open(self) -> None:
        threading.Thread(target=self._listen, name="tiller-events", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._retry.set()
        for client in (self._listening, self._asking):
            if client is not None:
                client.close()

    def take(self) -> list[dict[str, Any]]:
        """What came in since the last call, oldest first."""
        taken: list[dict[str, Any]] = []
        while self._inbox:
            taken.append(self._inbox.popleft())
        return taken

    def start_server(self) -> None:
        """Try again at once, and start a server when there is none: a person asked for it."""
        self._may_start = True
        self._retry.set()

    def request(self, op: str, **fields: Any) -> Any:
        """Ask one thing, from a thread that may wait. Raises GraphError; never starts a server."""
        with self._asking_lock:
            fresh = self._asking is None
            try:
                client = self._asking = self._asking or Client.connect(start=False)
                return client.request(op, **fields)
            except ServerError:
                self._asking = None
                if fresh or self._closed.is_set():
                    raise
            client = self._asking = Client.connect(start=False)  # the old one had gone stale with its server
            return client.request(op, **fields)

    def _listen(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            try:
                self._follow()
            except (GraphError, OSError) as error:
                if self.state.connected or self.state.lost_at is None:
                    pause = _FIRST_PAUSE
                    self.state = LinkState(False, time.time(), str(error))
                    self._wake()
            if self._retry.wait(pause):
                self._retry.clear()
                pause = _FIRST_PAUSE
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _follow(self) -> None:
        """Connect and put events into the inbox until the server ends. Raises GraphError then, OSError for its folder."""
        start, self._may_start = self._may_start, False
        with Client.connect(start=start) as client:
            self._listening = client
            if self._closed.is_set():
                return
            events = client.subscribe(workspace=self._workspace)
            self._inbox.append({"kind": "connected"})
            self.state = LinkState(True)
            for event in events:
                self._inbox.append(event)
                if event["kind"] == "snapshot":
                    self._wake()
