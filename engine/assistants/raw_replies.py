"""What the assistant said, kept before it is read, so that nothing is asked twice.

Owns the records and finding a request's reply again. A request that failed is not kept: the next command asks it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.assistants.assistant import Assistant
from engine.errors import EngineError
from engine.remote.types import Reply, Request
from engine.settings import canonical_json
from engine.store import Segment, read_segment, segments_of


class RawReplies:
    """The replies of one set of requests: those on disk, and those that `ask` adds."""

    def __init__(self, folder: Path, assistant: Assistant, segment: Segment) -> None:
        self._assistant, self._segment = assistant, segment
        self._known = {identity: reply for path in segments_of(folder) for identity, reply in _read(path)}
        self.found = 0

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """The replies, in the order of the requests; each is on disk before the next is waited for."""
        names = [request_id(request) for request in requests]
        missing = {name: request for name, request in zip(names, requests, strict=True) if name not in self._known}
        self.found += len(set(names)) - len(missing)
        asked = list(missing)
        failed: dict[str, Reply] = {}
        for index, reply in self._assistant.replies([missing[name] for name in asked]):
            if reply.text is None:
                failed[asked[index]] = reply
                continue
            record = {name: value for name, value in asdict(reply).items() if name != "error"}
            self._segment.append({"request": asked[index]} | record)
            self._known[asked[index]] = reply
        return [self._known.get(name) or failed[name] for name in names]


def answered(replies: Sequence[Reply]) -> Sequence[Reply]:
    """The replies, if all came; EngineError where one did not: what is made of the others would be something else."""
    failed = [reply for reply in replies if reply.text is None]
    if failed:
        why = (failed[0].error or "no reason was given").rstrip(".")
        raise EngineError(
            f"{len(failed)} of {len(replies)} requests were not answered: {why}; mend that and run the same command again, it "
            "goes on from what was answered."
        )
    return replies


def request_id(request: Request) -> str:
    content: dict[str, Any] = asdict(request)
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:24]


def _read(path: Path):
    for record in read_segment(path):
        try:
            name = record.pop("request")
            yield name, Reply(**record)
        except (KeyError, TypeError) as error:
            raise EngineError(
                f"{path} holds a record that is no reply of this version ({error}); move the file away and run again."
            ) from error
