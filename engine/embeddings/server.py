"""A server's embeddings (`/v1/embeddings`) as an embedder: texts in batches, tries and pauses as for completions.

Owns the request and the reading of its reply. What a failure means is `engine.remote.faults`' business.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import numpy as np
import openai
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception_type, stop_after_delay

from engine.embedding_settings import EmbedderSettings
from engine.embeddings.hidden_states import normalised
from engine.errors import EngineError
from engine.keys import key_for
from engine.remote.client import check_endpoint, plain_client
from engine.remote.faults import GARBAGE, UNREACHABLE, Passing, Refused, address, read_failure
from engine.remote.talk import pause
from engine.remote.types import Endpoint

_GARBAGE_TRIES = 4


class ServerEmbedder:
    """One batch after the other. Servers refuse an empty text: a space stands for it."""

    def __init__(self, endpoint: Endpoint, identity: str, settings: EmbedderSettings) -> None:
        check_endpoint(endpoint)
        self.identity = identity
        self._endpoint, self._settings = endpoint, settings
        self._secret = key_for(endpoint.base_url, endpoint.key_env)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 0), np.float32)
        instruction = self._settings.embedding_instruction or ""
        asked = [f"{instruction}{text}" or " " for text in texts]
        size = self._settings.embedding_batch_size
        with plain_client(self._endpoint, self._secret, max_retries=0) as client:
            parts = [self._reply(client, asked[start : start + size]) for start in range(0, len(asked), size)]
        if len({part.shape[1] for part in parts}) > 1:
            raise EngineError(f"{address(self._endpoint)} gave vectors of different widths; name one model and run again.")
        vectors = np.concatenate(parts)
        return normalised(vectors) if self._settings.embedding_normalise else vectors

    def _reply(self, client: openai.OpenAI, texts: list[str]) -> NDArray[np.float32]:
        """The vectors of one batch after as many tries as it takes."""
        server, garbage = self._endpoint, 0

        def in_vain(state) -> bool:
            nonlocal garbage
            fault = state.outcome.exception()
            garbage += fault.kind == GARBAGE
            limit = server.patience if fault.kind == UNREACHABLE else server.deadline
            return garbage >= _GARBAGE_TRIES or stop_after_delay(limit)(state)

        retrying = Retrying(retry=retry_if_exception_type(Passing), wait=pause, stop=in_vain, reraise=True)
        try:
            return retrying(self._once, client, texts)
        except Passing as fault:
            raise EngineError(
                f"{address(server)} gave no embeddings ({fault}); start the server or check its address, then go on with the "
                "same command."
            ) from None
        except Refused as refused:
            raise EngineError(
                f"{address(server)} refused to embed a batch of {len(texts)} texts ({refused}); check that {server.model} is a "
                "model for embeddings, or give a smaller --embedding-batch-size."
            ) from None

    def _once(self, client: openai.OpenAI, texts: list[str]) -> NDArray[np.float32]:
        body = {"model": self._endpoint.model, "input": texts, "encoding_format": "float"}
        fault: Passing | Refused | EngineError
        try:
            response = client.post("/embeddings", cast_to=httpx2.Response, body=body)
        except openai.OpenAIError as error:
            fault = read_failure(error, self._endpoint, self._secret)
        else:
            vectors = read_embeddings(response.content, len(texts))
            if vectors is not None:
                return vectors
            fault = Passing(GARBAGE, "a reply without one vector for each text")
        raise fault  # here, and not in an `except`: the library's own error, which may hold the key, stays behind


def read_embeddings(content: bytes, count: int) -> NDArray[np.float32] | None:
    """[count, width] of the reply's body, by its indices; None where it is anything else than one finite vector for each."""
    try:
        data: list[Any] = json.loads(content)["data"]
        by_index = {entry["index"]: entry["embedding"] for entry in data}
        vectors = np.array([by_index[index] for index in range(count)], np.float32)
    except (ValueError, KeyError, TypeError):
        return None
    return vectors if vectors.ndim == 2 and vectors.shape[1] and np.isfinite(vectors).all() else None
