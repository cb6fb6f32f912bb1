"""Many chat completions at a time from one OpenAI-compatible server, as a plain generator.

Owns the connection, the event loop (in a thread of its own, so that replies come in while the caller works) and how many
requests are out at once. At most `concurrency` are out or waiting to be taken, so memory does not grow with their number. How
one request gets its reply is `talk.py`'s business. It knows no judge, and keeps nothing.
"""

from __future__ import annotations

import asyncio
import queue
import ssl
import threading
from collections.abc import Generator, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import openai

from engine.errors import EngineError, InputError
from engine.keys import key_for, on_this_machine
from engine.remote.faults import address, read_failure
from engine.remote.talk import Talk
from engine.remote.types import Endpoint, Reply, Request, Usage

_POOL = 16  # requests per client: for each request it looks at all its connections, so one large client would be slow
_LISTED = 8  # names of models that a message shows


def replies(endpoint: Endpoint, requests: Iterable[Request], usage: Usage) -> Generator[tuple[int, Reply], None, None]:
    """Send the requests, taken as they are needed, and yield (index, reply) as they end.

    A request that fails after all its tries is a reply without text; what every request would meet (a refused key, an unknown
    model, a server that is not there) is an EngineError. Closing the generator ends what is out.
    """
    check_endpoint(endpoint)
    if not endpoint.model:
        endpoint = replace(endpoint, model=only_model(endpoint))
    return _replies(endpoint, key_for(endpoint.base_url, endpoint.key_env), requests, usage)


def only_model(endpoint: Endpoint) -> str:
    """The name of the one model that the server has, for an endpoint that names none."""
    check_endpoint(endpoint)
    secret = key_for(endpoint.base_url, endpoint.key_env)
    try:
        with plain_client(endpoint, secret) as client:
            names = [model.id for model in client.models.list().data or ()]
    except openai.OpenAIError as error:
        fault = read_failure(error, endpoint, secret)
    else:
        if len(names) == 1:
            return names[0]
        shown = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
        listed = f"{len(names)} models ({shown})" if names else "no model"
        raise InputError(f"{address(endpoint)} lists {listed}; name the one to ask.")
    if isinstance(fault, EngineError):
        raise fault
    raise EngineError(f"{address(endpoint)} could not be asked for its models ({fault}); check its address, or name the model.")


def plain_client(endpoint: Endpoint, secret: str, **options: Any) -> openai.OpenAI:
    """For one request after the other. A context manager."""
    return openai.OpenAI(
        base_url=endpoint.base_url,
        api_key=secret,
        timeout=endpoint.timeout,
        http_client=httpx2.Client(**_transport(endpoint)),
        **options,
    )


def check_endpoint(endpoint: Endpoint) -> None:
    """Refuse an address that is none, before anything is sent."""
    try:
        parts = urlsplit(endpoint.base_url)
        fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # no number as port, half of an IPv6 address
        fits = False
    if not fits:
        raise InputError(f"{endpoint.base_url} is no address of a server; it should look like http://127.0.0.1:8000/v1.")


def _transport(endpoint: Endpoint) -> dict[str, Any]:
    """A proxy of the environment is for the world outside, never for a server on this machine."""
    return {"follow_redirects": True, "trust_env": not on_this_machine(endpoint.base_url)}


def _replies(
    endpoint: Endpoint, secret: str, requests: Iterable[Request], usage: Usage
) -> Generator[tuple[int, Reply], None, None]:
    pending = enumerate(requests)
    out = 0
    with _Line(endpoint, secret, usage) as line:
        while True:
            for index, request in islice(pending, endpoint.concurrency - out):
                line.send(index, request)
                out += 1
            if not out:
                return
            index, reply = line.take()
            out -= 1
            yield index, reply


def _client(endpoint: Endpoint, secret: str, trusted: ssl.SSLContext) -> openai.AsyncOpenAI:
    """Without retries and time limits of its own: ours hold for all tries, and one that starts anew with each byte is none."""
    transport = httpx2.AsyncClient(**_transport(endpoint), verify=trusted)
    return openai.AsyncOpenAI(base_url=endpoint.base_url, api_key=secret, max_retries=0, timeout=None, http_client=transport)


class _Line:
    """An event loop in a thread, requests going in and replies coming out. Leaving it cancels what is out and closes it."""

    def __init__(self, endpoint: Endpoint, secret: str, usage: Usage) -> None:
        trusted = httpx2.create_ssl_context()  # shared: reading the system's certificates takes longer than all else here
        self._clients = [_client(endpoint, secret, trusted) for _ in range(-(-endpoint.concurrency // _POOL))]
        self._talk = Talk(endpoint, secret, self._clients, usage)
        self._ended: queue.SimpleQueue[tuple[int, asyncio.Task[Reply]]] = queue.SimpleQueue()
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="completions", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def send(self, index: int, request: Request) -> None:
        self._loop.call_soon_threadsafe(self._begin, index, request)

    def take(self) -> tuple[int, Reply]:
        """The next reply; an error that ends everything is raised here, in the caller's thread."""
        index, task = self._ended.get()
        return index, task.result()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            for client in self._clients:
                await stack.enter_async_context(client)
            await self._closing.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, index: int, request: Request) -> None:
        task = self._loop.create_task(self._talk.reply(request))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._end(index, done))

    def _end(self, index: int, task: asyncio.Task[Reply]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: several may end so, one is raised, and asyncio would complain of the others at exit
            self._ended.put((index, task))
