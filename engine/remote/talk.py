"""How one request gets its reply: tries, pauses, a deadline, and a reply schema where the server takes one.

Owns what is learnt about a server on the way. Everything here runs inside one event loop; how many requests are out at once is
`client.py`'s business, and what a failure means `faults.py`'s.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import httpx2
import openai
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from engine.errors import EngineError
from engine.progress import notice
from engine.remote.faults import GARBAGE, UNREACHABLE, Passing, Refused, address, read_completion, read_failure, unreachable
from engine.remote.pacing import Pace
from engine.remote.types import Endpoint, Reply, Request, Usage

_BACK_OFF = wait_random_exponential(multiplier=0.5, max=15)  # full jitter: requests that failed together come back apart
_STRETCH = 0.1  # of a pause that the server asked for, for the same reason
_GARBAGE_TRIES = 4  # a server that keeps answering nonsense is not asked until the deadline: each answer may have to be paid
_LETTERS_PER_TOKEN = 4  # of English, roughly: used until the server has counted
_HOPELESS = 0.01  # seconds before the deadline in which no try is begun
_SCHEMA = "schema"
_LIMIT, _NEW_LIMIT = "max_tokens", "max_completion_tokens"  # every server knows the first, except for OpenAI's newer models


@dataclass(slots=True)
class _Asking:
    """One request on its way. `ends` moves when our own pace holds it back: that time is not the server's."""

    request: Request
    ends: float
    tries: int = 0
    plain: bool = False  # without the schema, because the server refused the request with it
    last: Passing | Refused | None = None
    faults: Counter[str] = field(default_factory=Counter)

    def left(self) -> float:
        return max(0.0, self.ends - time.monotonic())


class Talk:
    def __init__(self, endpoint: Endpoint, secret: str, clients: Sequence[openai.AsyncOpenAI], usage: Usage) -> None:
        self._endpoint, self._secret, self._usage = endpoint, secret, usage
        self._clients = cycle(clients)
        self._pace = Pace(endpoint.requests_per_minute, endpoint.tokens_per_minute)
        self._schemas = endpoint.structured != "off"
        self._limit = _LIMIT
        self._heard_at = 0.0
        self._out_of_reach = False

    async def reply(self, request: Request) -> Reply:
        """The reply after as many tries as it takes; without text once the deadline is over or the server refuses."""
        began = time.monotonic()
        asking = _Asking(request, began + self._endpoint.deadline)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Passing),
            wait=lambda state: min(pause(state), asking.left()),
            stop=lambda _: not asking.left() or asking.faults[GARBAGE] >= _GARBAGE_TRIES or self._in_vain(asking, began),
            reraise=True,
        )
        try:
            reply = await retrying(self._once, asking)
        except Passing as fault:
            gone = fault.kind == UNREACHABLE and self._heard_at < began
            stop = unreachable(self._endpoint, fault, time.monotonic() - began) if gone else None
            sentence = f"no reply after {asking.tries} tries: {fault}"
            if not asking.left():
                sentence = f"no reply within {self._endpoint.deadline:g} s and {asking.tries} tries, the last one: {fault}"
        except Refused as refused:
            stop, sentence = None, f"the server refused it: {refused}"
        else:
            self._usage.replies += 1
            return replace(reply, tries=asking.tries)
        if stop is not None:
            raise stop
        self._usage.failed += 1
        return Reply(None, error=sentence, tries=asking.tries)

    def _in_vain(self, asking: _Asking, began: float) -> bool:
        """Whether there is no server at all: one that has answered before may only be starting again."""
        never = isinstance(asking.last, Passing) and asking.last.kind == UNREACHABLE and not self._heard_at
        return never and time.monotonic() - began >= self._endpoint.patience

    async def _once(self, asking: _Asking) -> Reply:
        """One try, counted; a refused schema makes the next one go without."""
        if asking.last is not None and asking.left() < _HOPELESS:
            raise asking.last
        estimate = len("".join(turn.content for turn in asking.request.chat)) / _LETTERS_PER_TOKEN + asking.request.max_tokens
        waiting = time.monotonic()
        await self._pace.turn(estimate)
        asking.ends += time.monotonic() - waiting
        asking.tries += 1
        self._usage.tries += 1
        schema = None if asking.plain or not self._schemas else asking.request.schema
        body = _body(self._endpoint.model, asking.request, schema, self._limit)
        try:
            reply = await self._send(body, asking.left())
        except (Passing, Refused) as fault:
            if isinstance(fault, Refused) and fault.kind in ("400", "422"):
                if fault.field == _LIMIT and _LIMIT in body:
                    fault, self._limit = Passing(_LIMIT, str(fault), retry_after=0.0), _NEW_LIMIT
                elif schema is not None and self._endpoint.structured == "auto":
                    fault, asking.plain = Passing(_SCHEMA, str(fault), retry_after=0.0), True
            self._note(asking, fault)
            raise fault from None
        if asking.plain and self._schemas:  # the same request goes without its schema: that was what the server refused
            self._schemas = False
            notice(f"{address(self._endpoint)} takes no reply schema; going on without it")
        self._pace.correct(estimate, reply.prompt_tokens + reply.completion_tokens or estimate)
        return reply

    async def _send(self, body: dict[str, Any], left: float) -> Reply:
        seconds = min(self._endpoint.timeout, left)
        fault: Passing | Refused | EngineError | None
        try:
            async with asyncio.timeout(seconds):
                response = await next(self._clients).post("/chat/completions", cast_to=httpx2.Response, body=body)
        except TimeoutError:
            fault = Passing("timeout", f"no reply to one try within {seconds:.3g} s")
        except openai.OpenAIError as error:
            fault = read_failure(error, self._endpoint, self._secret)
            if isinstance(error, openai.APIStatusError):
                self._hear()
        else:
            self._hear()
            reply, fault = read_completion(response.content, self._secret)
            self._usage.prompt_tokens += reply.prompt_tokens
            self._usage.completion_tokens += reply.completion_tokens
            if fault is None:
                return reply
        raise fault  # here, and not in an `except`: the library's own error, which may hold the key, stays behind

    def _hear(self) -> None:
        self._heard_at = time.monotonic()
        self._out_of_reach = False

    def _longest(self) -> float:
        return self._endpoint.deadline if self._heard_at else min(self._endpoint.deadline, self._endpoint.patience)

    def _note(self, asking: _Asking, fault: Passing | Refused) -> None:
        asking.last = fault
        asking.faults[fault.kind] += 1
        self._usage.errors[fault.kind] = self._usage.errors.get(fault.kind, 0) + 1
        if fault.kind == UNREACHABLE and not self._out_of_reach:
            self._out_of_reach = True
            notice(f"{address(self._endpoint)} is out of reach ({fault}); trying again for up to {self._longest():g} s")


def pause(state: RetryCallState) -> float:
    """As long as the server asked for, else longer after each try."""
    fault = state.outcome.exception() if state.outcome else None
    if isinstance(fault, Passing) and fault.retry_after is not None:
        return fault.retry_after * (1 + random.uniform(0, _STRETCH))
    return _BACK_OFF(state)


def _body(model: str, request: Request, schema: Any, limit: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.chat],
        limit: request.max_tokens,
        "temperature": request.temperature,
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}
    return body
