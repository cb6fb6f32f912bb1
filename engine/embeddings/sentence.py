"""A sentence-transformers model as an embedder: its own pooling, its own prompts. Owns the meeting with that library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.embedding_settings import EmbedderSettings
from engine.errors import EngineError
from engine.identity import ModelSource
from engine.keys import find_key

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer


class SentenceEmbedder:
    """Loaded at the first text. An instruction takes the place of the model's default prompt."""

    def __init__(self, source: ModelSource, identity: str, settings: EmbedderSettings) -> None:
        self.identity = identity
        self._source, self._settings = source, settings
        self._model: SentenceTransformer | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 0), np.float32)
        if self._model is None:
            self._model = _load(self._source, self._settings.embedding_device)
        from engine.forward import enough_memory

        options: dict[str, Any] = {"normalize_embeddings": self._settings.embedding_normalise, "show_progress_bar": False}
        batch_size = self._settings.embedding_batch_size
        with enough_memory(batch_size):
            found = self._model.encode(
                list(texts), prompt=self._settings.embedding_instruction, batch_size=batch_size, **options
            )
        return np.asarray(found, np.float32)


def _load(source: ModelSource, device: str | None) -> SentenceTransformer:
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # its bars would fill task logs
    token = None if source.revision is None else find_key("HF_TOKEN")
    try:
        return SentenceTransformer(
            source.location, device=device, revision=source.revision, trust_remote_code=False, token=token
        )
    except (OSError, ValueError, ImportError, KeyError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise EngineError(
            f"{source.name} could not be loaded as a sentence-transformers model: {reason}; check its files, or name another "
            "--embedder."
        ) from error
