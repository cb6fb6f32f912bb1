"""What client and server say to each other: newline-delimited JSON over a unix socket.

Both ends import this file and nothing of each other. The first line each way is a greeting with PROTOCOL; after it a
client sends requests `{"id", "op", …}` and gets `{"id", "result"}` or `{"id", "error"}` for each. A reply too large for
one frame comes as several `{"id", "part"}` lines, the JSON text cut in pieces, before a closing `{"id", "parts": n, "of":
"result" | "error"}`.
After `subscribe` the server also sends `{"event": …}` lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from gpu_graph.errors import ServerError

PROTOCOL = 2
MAX_FRAME = 2**20
"""Bytes of one line, newline included. A longer one from a client ends its connection."""


def encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Raises ServerError for a line that is not one JSON object."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ServerError(f"not a JSON line: {error}") from None
    if not isinstance(message, dict):
        raise ServerError("not a JSON object")
    return message  # pyright: ignore[reportUnknownVariableType]  # a JSON object has string keys


def reply_frames(request_id: Any, result: Any) -> Iterator[bytes]:
    """One reply as frames of at most MAX_FRAME bytes."""
    return _frames(request_id, "result", result)


def error_frames(request_id: Any, error: str) -> Iterator[bytes]:
    """One refusal, likewise: a graph of 100,000 tasks can have as many offenders to name."""
    return _frames(request_id, "error", error)


def _frames(request_id: Any, kind: str, content: Any) -> Iterator[bytes]:
    whole = encode({"id": request_id, kind: content})
    if len(whole) <= MAX_FRAME:
        yield whole
        return
    text = json.dumps(content, separators=(",", ":"))  # ASCII only, so that a cut never splits a character
    step = MAX_FRAME // 4  # a piece is quoted once more, which can double it
    pieces = [text[at : at + step] for at in range(0, len(text), step)]
    for piece in pieces:
        yield encode({"id": request_id, "part": piece})
    yield encode({"id": request_id, "parts": len(pieces), "of": kind})
