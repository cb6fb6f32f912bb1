"""Watching services that have started until they are ready, or until it is clear that they will not be.

Owns the looks at a service's port and log, and reports what they show as scheduler events. It decides nothing about
restarts. A service that is ready is not watched any more: that it has ended is seen by its supervisor's end.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable

from gpu_graph import ports
from gpu_graph.events import Event, ServiceReady, ServiceUnfit
from gpu_graph.local import Attempt, Key
from gpu_graph.spec import TaskSpec

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.1, 1.0, 1.25
_ANSWER_SECONDS = 5.0
_LOG_BYTES = 2**20
_LINE_BYTES = 4096
_STRANGE_LOOKS = 2
"""A process can fork past a look at its attempt, so a stranger on the port must have been seen this many times in a row."""

log = logging.getLogger("tiller.server")


class ServiceWatch:
    """The watches of one host; `report` is called in the event loop."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report
        self._watches: dict[Key, asyncio.Task[None]] = {}

    def begin(self, attempt: Attempt, task: TaskSpec, port: int, key: str | None, started_at: float) -> None:
        """Watch an attempt of the service until it is ready or its time to start is over. key: what it asks callers for."""
        watch = asyncio.get_running_loop().create_task(self._watch(attempt, task, port, key, started_at))
        self._watches[attempt.key] = watch
        watch.add_done_callback(_log_fault)

    def end(self, key: Key) -> None:
        if (watch := self._watches.pop(key, None)) is not None:
            watch.cancel()

    def close(self) -> None:
        for key in list(self._watches):
            self.end(key)

    async def _watch(self, attempt: Attempt, task: TaskSpec, port: int, key: str | None, started_at: float) -> None:
        sign = _LogSign(attempt, task.ready) if task.ready.startswith("log:") else None
        seconds = task.start_timeout or 0.0
        deadline = started_at + seconds
        pause, strangers = _FIRST_PAUSE, 0
        while True:
            try:
                seen = await asyncio.to_thread(ports.listeners, port, attempt.id)
                signed = sign is not None and await asyncio.to_thread(sign.given)
            except OSError as error:  # no file descriptor or memory left
                log.error("service %s cannot be looked at: %s; trying again", attempt.id, error)
                seen, signed = ports.Listeners(), False
            strangers = strangers + 1 if seen.foreign else 0
            if seen.exposed:
                self._unfit(attempt, _exposed(seen.exposed, port), hopeless=True)
                return
            if strangers >= _STRANGE_LOOKS:
                self._unfit(attempt, f"another program listens on its port {port}")
                return
            if seen.own and not seen.foreign:
                path = task.ready
                if signed or (sign is None and await ports.answers(port, path, key, _ANSWER_SECONDS)):
                    self._report(ServiceReady(*attempt.key, time.time()))
                    return
            left = deadline - time.time()
            if left <= 0:
                self._unfit(attempt, f"not ready within {seconds:g} s: {_lacking(task, port, seen, sign, signed)}")
                return
            await asyncio.sleep(min(pause, left))
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)

    def _unfit(self, attempt: Attempt, reason: str, *, hopeless: bool = False) -> None:
        self._report(ServiceUnfit(*attempt.key, time.time(), reason, hopeless))


class _LogSign:
    """Whether a line of the attempt's log matches; reads what is new at each look."""

    def __init__(self, attempt: Attempt, ready: str) -> None:
        self.pattern = ready.removeprefix("log:")
        self._expression = re.compile(self.pattern)
        self._path = attempt.file("log")
        self._offset = 0
        self._rest = b""
        self._given = False

    def given(self) -> bool:
        while not self._given:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_LOG_BYTES)
            self._offset += len(data)
            *lines, self._rest = re.split(rb"[\r\n]+", self._rest + data)
            texts = (line[:_LINE_BYTES].decode(errors="replace") for line in (*lines, self._rest))
            self._given = any(self._expression.search(text) for text in texts)
            self._rest = self._rest[:_LINE_BYTES]
            if len(data) < _LOG_BYTES:
                break
        return self._given


def _exposed(addresses: tuple[str, ...], port: int) -> str:
    where = " and ".join(addresses)
    return (
        f"it listens on {where}, where other machines can reach it; a service must listen on 127.0.0.1 only: "
        f"give it that as its host (often --host 127.0.0.1) and port {port} (@{{port}} in its command)"
    )


def _lacking(task: TaskSpec, port: int, seen: ports.Listeners, sign: _LogSign | None, signed: bool) -> str:
    if not seen.own:
        return f"it does not listen on 127.0.0.1:{port}; its command gets the port as @{{port}} or $TILLER_PORT"
    if sign is not None and not signed:
        return f"no line of its log matches {sign.pattern!r}"
    return f"http://127.0.0.1:{port}{task.ready} does not answer with 2xx"


def _log_fault(watch: asyncio.Task[None]) -> None:
    if not watch.cancelled() and (fault := watch.exception()) is not None:
        log.error("a watch over a service failed", exc_info=fault)
