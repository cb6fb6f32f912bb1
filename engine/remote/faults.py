"""What can go wrong between a request and its reply: what passes by itself, what is that request's own fault, and what would be
the same for every request.

Owns the reading of failures and of replies into these three, and their sentences, which never hold a key. It sends nothing.
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from engine.errors import EngineError
from engine.keys import DEFAULT, on_this_machine, scrub
from engine.remote.types import Endpoint, Reply

UNREACHABLE = "unreachable"
GARBAGE = "garbage"
_PASSING = frozenset({408, 409, 425, 429})  # and every 5xx
_LONGEST_SAID = 300
_MENDS = {
    401: "give the right key",
    402: "the account has to be paid first",
    403: "give a key that may use this model",
    404: "check the model's name and that the address ends in /v1",
}


class Passing(Exception):
    """It may go well when asked again. retry_after: in how many seconds, where the server said so."""

    def __init__(self, kind: str, sentence: str, *, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.kind, self.retry_after = kind, retry_after


class Refused(Exception):
    """The server will not answer this request, however often it is asked. field: of the body, where it is to blame."""

    def __init__(self, kind: str, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.kind, self.field = kind, field


def read_failure(error: openai.OpenAIError, endpoint: Endpoint, secret: str) -> Passing | Refused | EngineError:
    """What a failed try means: of the last kind is what no request of this batch can escape."""
    if not isinstance(error, openai.APIStatusError):
        cause = error.__cause__ or error
        kind = UNREACHABLE if isinstance(cause, httpx2.ConnectError) else "connection"
        return Passing(kind, scrub(_tidy(f"{type(cause).__name__}: {cause}"), secret))
    status, said = error.status_code, scrub(_said(error), secret)
    if status in _MENDS or error.code == "insufficient_quota":
        what = f"model {endpoint.model}" if endpoint.model else "the question for its models"
        return EngineError(
            f"{address(endpoint)} refused {what} with {status} ({said}); {_mend(status, endpoint)}, then go on with the same "
            "command."
        )
    if status in _PASSING or status >= 500:
        return Passing(str(status), f"{status} ({said})", retry_after=_retry_after(error.response.headers))
    return Refused(str(status), f"{status} ({said})", field=error.param)


def unreachable(endpoint: Endpoint, fault: Passing, seconds: float) -> EngineError:
    return EngineError(
        f"{address(endpoint)} was not reached for {seconds:.1f} s ({fault}); start the server or check its address, "
        "then go on with the same command."
    )


def address(endpoint: Endpoint) -> str:
    """The server as messages name it: without a name or password that the address may hold."""
    parts = urlsplit(endpoint.base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def read_completion(content: bytes, secret: str) -> tuple[Reply, Passing | Refused | None]:
    """The reply in the body of a chat completion, and what is wrong with it: then only its tokens count."""
    try:
        body = json.loads(content)
    except ValueError:  # also bytes that are no UTF-8
        return Reply(None), Passing(GARBAGE, "a reply that is not JSON")
    spent = _spent(body)
    try:
        choice = body["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message["content"], message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        return Reply(None, **spent), Passing(GARBAGE, "a reply without choices")
    if isinstance(text, str):
        text = text.encode(errors="replace").decode()  # half of a surrogate pair, which JSON can hold and no file can
        return Reply(scrub(text, secret), finish=finish if isinstance(finish, str) else None, **spent), None
    if refusal or finish in ("length", "content_filter"):  # the same again would end the same, and be paid for again
        reason = _tidy(str(refusal)) if refusal else f"it ended by {finish}"
        return Reply(None, **spent), Refused("empty", scrub(f"a reply without text ({reason})", secret))
    return Reply(None, **spent), Passing(GARBAGE, "a reply without text")


def _spent(body: Any) -> dict[str, Any]:
    counted = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(counted, dict):
        return {}
    return {name: n for name in ("prompt_tokens", "completion_tokens") if isinstance(n := counted.get(name), int)}


def _said(error: openai.APIStatusError) -> str:
    """The server's own words: the message in its JSON, else the beginning of its text."""
    body: Any = error.body
    if isinstance(body, dict):
        body = next((body[name] for name in ("message", "detail", "error") if body.get(name)), body)
    return _tidy(body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)) or "without a word"


def _tidy(text: str) -> str:
    """One printable line: what a server says ends on a terminal."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST_SAID else f"{line[:_LONGEST_SAID]}…"


def _mend(status: int, endpoint: Endpoint) -> str:
    if status not in (401, 403):
        return _MENDS.get(status, "raise the account's quota")
    if on_this_machine(endpoint.base_url) and endpoint.key_env == DEFAULT:
        return f"{_MENDS[status]}: a server on this machine is not sent {DEFAULT}, so put its key into a variable of its own"
    return f"{_MENDS[status]} in {endpoint.key_env}"


def _retry_after(headers) -> float | None:
    """Seconds from `Retry-After` (a number or a date) or from `retry-after-ms`."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except ValueError:
        return None
