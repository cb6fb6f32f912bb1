"""A server of chat completions and embeddings for tests and benchmarks: slow and faulty on demand, and it counts everything it
is asked.

In a test: `with ChatServer(delay=0.2, faults=0.2) as server: …server.url…`, in a thread of this process, with any `answer`.
As a program: `python tests/servers/chat_server.py --delay 0.2 --faults 0.2` prints its address on a line,
and `GET /counts` there tells its counts.
Standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("429", "500", "hang", "garbage", "drop")
GARBAGE = (
    b"<html>busy</html>",
    b'{"choices": [{"mess',
    b'{"object": "chat.completion"}',
    b'{"choices": [{"message": {"content": null}}]}',
)
BAD_VECTORS = (
    b'{"data": []}',
    b'{"data": [{"index": 0, "embedding": "AAA"}]}',
    b'{"data": [{"index": 7, "embedding": [1]}]}',
    b"x",
)


def say_back(body: dict[str, Any]) -> str:
    """The default answer: the last turn, so that a test sees which reply belongs to which request."""
    return f"said: {body['messages'][-1]['content']}"


def letters(text: str) -> list[float]:
    """The default embedding: how often each letter occurs, so that a test knows every text's vector."""
    return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]


@dataclass
class Counts:
    """requests: completions or embeddings asked for. answered: with a proper reply, put on the wire. asked: how often each last
    turn, or text to embed, came."""

    requests: int = 0
    answered: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False)
class ChatServer:
    """delay: seconds before each answer. faults: share of requests that meet one of `kinds`, drawn from `seed` as they come.

    retry_after: what a 429 says. key: the only bearer that is let in. models: what /v1/models lists; another model is a 404.
    takes_schema False: a request with response_format is a 400. limit: what it calls max_tokens; another name is a 400.
    longest: letters of a last turn beyond which it is a 400.
    """

    answer: Callable[[dict[str, Any]], str] = say_back
    embed: Callable[[str], list[float]] = letters
    delay: float = 0.0
    faults: float = 0.0
    kinds: Sequence[str] = FAULTS
    seed: int = 0
    retry_after: str = "0.05"
    key: str | None = None
    models: Sequence[str] = ("test-model",)
    takes_schema: bool = True
    limit: str = "max_tokens"
    longest: int = 100_000
    port: int = 0
    counts: Counts = field(default_factory=Counts)
    bodies: list[dict[str, Any]] | None = None
    """Set to a list to keep every request's body."""

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._open: set[_Connection] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def fault(self) -> str | None:
        return self._chance.choice(list(self.kinds)) if self._chance.random() < self.faults else None

    async def serve(self, started: Callable[[], None], stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self, self._open), "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]  # kept, so that a stopped server starts at the same address
        started()
        await stop.wait()
        server.close()
        for connection in list(self._open):
            connection.abort()

    def start(self) -> None:
        ready = threading.Event()
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self.serve(ready.set, self._stop)))
        self._thread.start()
        assert ready.wait(10), "the chat server did not start"

    def stop(self) -> None:
        """Drop everybody, at once."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> ChatServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request after the other, as far as the client under test speaks it."""

    def __init__(self, server: ChatServer, siblings: set[_Connection]) -> None:
        self._server, self._siblings = server, siblings
        self._buffer = b""
        self._asked = False  # a completion is in flight here
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._siblings.add(self)
        self._server.counts.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._siblings.discard(self)
        self._done()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = lines[0].split(" ")
        self._route(method, path, headers, rest[:length])

    def _route(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        server = self._server
        if path == "/health":
            self._send(200, {"status": "ok"})
        elif path == "/counts":
            self._send(200, vars(server.counts))
        elif server.key is not None and headers.get("authorization") != f"Bearer {server.key}":
            server.counts.requests += method == "POST"
            self._complain(401, f"Incorrect API key provided: {headers.get('authorization', '').removeprefix('Bearer ')}")
        elif path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in server.models]})
        elif path == "/v1/chat/completions":
            self._complete(json.loads(body))
        elif path == "/v1/embeddings":
            self._embed(json.loads(body))
        else:
            self._complain(404, f"there is nothing at {path}")

    def _complete(self, body: dict[str, Any]) -> None:
        server = self._server
        last = body["messages"][-1]["content"]
        self._count(body, last)
        if body["model"] not in server.models:
            return self._complain(404, f"The model {body['model']} does not exist")
        if "response_format" in body and not server.takes_schema:
            return self._complain(400, "response_format is not supported")
        if server.limit not in body:
            return self._complain(400, f"Unsupported parameter; use '{server.limit}' instead.", param="max_tokens")
        if len(last) > server.longest:
            return self._complain(400, f"the context is at most {server.longest} letters")
        self._answer_later(lambda: completion(body, server.answer(body)), GARBAGE)

    def _embed(self, body: dict[str, Any]) -> None:
        server, texts = self._server, body["input"]
        self._count(body, *texts)
        if body["model"] not in server.models:
            return self._complain(404, f"The model {body['model']} does not exist")
        if not all(texts) or max(map(len, texts)) > server.longest:
            return self._complain(400, f"every input has 1 to {server.longest} letters")
        data = [{"object": "embedding", "index": index, "embedding": server.embed(text)} for index, text in enumerate(texts)]
        self._answer_later(lambda: {"object": "list", "model": body["model"], "data": data[::-1]}, BAD_VECTORS)

    def _count(self, body: dict[str, Any], *asked: str) -> None:
        counts = self._server.counts
        counts.requests += 1
        counts.in_flight += 1
        counts.max_in_flight = max(counts.max_in_flight, counts.in_flight)
        counts.asked.update(asked)
        self._asked = True
        if self._server.bodies is not None:
            self._server.bodies.append(body)

    def _answer_later(self, answer: Callable[[], dict[str, Any]], garbage: Sequence[bytes]) -> None:
        kind = self._server.fault()
        self._server.counts.kinds[kind or "answer"] += 1
        if kind != "hang":
            self._timer = asyncio.get_running_loop().call_later(self._server.delay, self._finish, kind, answer, garbage)

    def _finish(self, kind: str | None, answer: Callable[[], dict[str, Any]], garbage: Sequence[bytes]) -> None:
        if kind is None:
            self._server.counts.answered += 1
            self._send(200, answer())
        elif kind == "drop":
            self._transport.abort()
        elif kind == "garbage":
            self._send(200, self._server._chance.choice(garbage))
        else:
            extra = f"Retry-After: {self._server.retry_after}\r\n" if kind == "429" else ""
            self._complain(int(kind), "the server has too much to do", extra)

    def _complain(self, status: int, message: str, extra: str = "", param: str | None = None) -> None:
        self._send(status, {"error": {"message": message, "type": "error", "param": param, "code": None}}, extra)

    def _send(self, status: int, content: Any, extra: str = "") -> None:
        self._done()
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        self._transport.write(head.encode() + body)

    def _done(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._asked:
            self._asked = False
            self._server.counts.in_flight -= 1


def completion(body: dict[str, Any], text: str) -> dict[str, Any]:
    words = sum(len(message["content"].split()) for message in body["messages"])
    return {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": words, "completion_tokens": len(text.split()), "total_tokens": words + len(text.split())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--kinds", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--say", help="say this to everything, instead of what was said")
    options = vars(parser.parse_args())
    say = options.pop("say")
    server = ChatServer(**options) if say is None else ChatServer(**options, answer=lambda _: say)
    asyncio.run(server.serve(lambda: print(server.url, flush=True), asyncio.Event()))


if __name__ == "__main__":
    main()
