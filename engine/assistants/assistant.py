"""Who writes: a model behind an OpenAI-compatible server, or one in this process.

Owns turning settings into something that answers requests, and its identity for keys. It parses nothing and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.assistants.settings import AssistantSettings
from engine.identity import ModelSource, resolve_model
from engine.remote.endpoints import is_server, open_endpoint
from engine.remote.types import Endpoint, Reply, Request, Usage


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
    if not is_server(settings.assistant):
        return LocalAssistant(resolve_model(settings.assistant), settings)
    endpoint = open_endpoint(settings.assistant, settings.assistant_model, settings.assistant_key, settings, "assistant")
    return RemoteAssistant(endpoint, settings.usage())


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
    """A model in this process, loaded at the first question. Every request draws by its own seed, temperature and length."""

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
        alike: dict[Sampling, list[int]] = {}
        for index, request in enumerate(requests):
            alike.setdefault(Sampling(request.max_tokens, request.temperature), []).append(index)
            needed = len(rows[index].prompt) + request.max_tokens
            check_length(model, needed, "allow shorter replies, ask for less at a time, or name another")
        for sampling, places in alike.items():
            chosen = [rows[place] for place in places]
            for number, written in generate(model, chosen, sampling, batch_size=settings.batch_size):
                reply = Reply(
                    model.decode(written.ids),
                    finish=written.finish,
                    prompt_tokens=len(chosen[number].prompt),
                    completion_tokens=len(written.ids),
                )
                yield places[number], reply
