"""What goes to an OpenAI-compatible server and what comes back. No network here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.data import Chat

Structured = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and how hard it may be pressed.

    base_url ends in `/v1`. key_env: name of the variable that holds the key; the key itself is in no record, log or argv. Rates
    are per minute; None: no limit. timeout: seconds for one try. deadline: seconds for a request with all its tries. patience:
    seconds until a server that has never answered is given up. structured: send a request's `schema`; "auto" goes on without
    when the server refuses it.
    """

    base_url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 60.0
    deadline: float = 600.0
    patience: float = 60.0
    structured: Structured = "auto"


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion. schema: a JSON schema that the reply should follow where the server can hold it to one."""

    chat: Chat
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """text None: it failed after all tries, and `error` says how in one sentence."""

    text: str | None
    error: str | None = None
    finish: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tries: int = 1


@dataclass(slots=True)
class Usage:
    """What a batch of requests cost so far. Tokens as the server counted them; prices are per million tokens."""

    replies: int = 0
    failed: int = 0
    tries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    price_in: float = 0.0
    price_out: float = 0.0
    errors: dict[str, int] = field(default_factory=lambda: {})

    @property
    def cost(self) -> float:
        return (self.prompt_tokens * self.price_in + self.completion_tokens * self.price_out) / 1e6
