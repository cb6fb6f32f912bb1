"""Who writes: a model behind an OpenAI-compatible server, or one in this process.

Owns turning settings into something that answers requests, and its identity for keys. It parses nothing and keeps nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from engine.data_making.settings import AssistantSettings
from engine.errors import InputError
from engine.identity import ModelSource, resolve_model
from engine.remote.types import Endpoint, Reply, Request, Usage

OPENAI = "https://api.openai.com/v1"


class Assistant(Protocol):
    @property
    def identity(self) -> str:
        """What stands for it in keys."""
        ...

    @property
    def name(self) -> str:
        """What stands for it in messages and provenance; holds no key."""
        ...

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]: ...


def open_assistant(settings: AssistantSettings) -> Assistant:
    """The assistant that the settings name; a local model is not loaded before it is asked."""
    url = OPENAI if settings.assistant == "openai" else settings.assistant
    if not url.startswith(("http://", "https://")):
        return LocalAssistant(resolve_model(settings.assistant), settings)
    if settings.assistant == "openai" and settings.assistant_model is None:
        raise InputError("--assistant openai has many models; name one with --assistant-model.")
    check_address(url, "--assistant")
    if not settings.assistant_key.isidentifier():  # not repeated: it may be the key itself
        raise InputError("--assistant-key takes the name of a variable, never a key; `export NAME=…` and give NAME.")
    endpoint = Endpoint(
        base_url=url,
        model=settings.assistant_model or "",
        key_env=settings.assistant_key,
        concurrency=settings.concurrency,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        timeout=settings.timeout,
        deadline=settings.deadline,
        structured=settings.structured,
    )
    if not endpoint.model:
        from engine.remote.client import only_model

        endpoint = dataclasses.replace(endpoint, model=only_model(endpoint))
    return RemoteAssistant(endpoint, Usage(price_in=settings.price_in, price_out=settings.price_out))


def check_address(url: str, option: str) -> None:
    """Refuse an address with a user, password or query: addresses are recorded, and all users see the list of processes."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query:
        raise InputError(
            f"The address of {option} holds more than host and path; put a key into a variable instead, where nobody sees it."
        )


@dataclass(frozen=True, slots=True)
class RemoteAssistant:
    endpoint: Endpoint
    usage: Usage

    @property
    def identity(self) -> str:
        return f"server:{self.endpoint.model}"

    @property
    def name(self) -> str:
        return f"{self.endpoint.model} at {self.endpoint.base_url}"

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        from engine.remote.client import replies  # loads the client library

        return replies(self.endpoint, requests, self.usage)


class LocalAssistant:
    """A model in this process, loaded at the first question. Every request draws by a seed of its own."""

    def __init__(self, source: ModelSource, settings: AssistantSettings) -> None:
        self._source, self._settings = source, settings
        self._model = None

    @property
    def identity(self) -> str:
        return self._source.identity

    @property
    def name(self) -> str:
        return self._source.name

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        from engine.chats import encode_chat
        from engine.forward import check_length
        from engine.generation import Row, generate
        from engine.models import load_source
        from engine.sampling import Sampling

        if not requests:
            return
        if self._model is None:
            self._model = load_source(self._source, device_map=self._settings.device_map)
        model, settings = self._model, self._settings
        rows = [Row(encode_chat(model.tokenizer, request.chat).ids, request.seed or 0) for request in requests]
        longest = max(len(row.prompt) for row in rows)
        check_length(model, longest + settings.max_tokens, "give a smaller --max-tokens or --per-request")
        sampling = Sampling(settings.max_tokens, settings.temperature)
        for index, written in generate(model, rows, sampling, batch_size=settings.batch_size):
            reply = Reply(
                model.decode(written.ids),
                finish=written.finish,
                prompt_tokens=len(rows[index].prompt),
                completion_tokens=len(written.ids),
            )
            yield index, reply
