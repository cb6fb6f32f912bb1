"""What makes vectors of texts, by name: a server, a sentence-transformers model, or a causal language model's hidden states.

Owns telling these apart and the identity that stands for an embedder in keys. No model is loaded, and no torch, before the
first text is embedded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.embedding_settings import EmbedderSettings
from engine.errors import EngineError
from engine.identity import ModelSource, folder_identity, resolve_model
from engine.keys import find_key
from engine.remote.endpoints import is_server, open_endpoint
from engine.remote.settings import ServerSettings
from engine.store import text_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODULES = "modules.json"
"""What a sentence-transformers model has and no other: the list of its parts."""


class Embedder(Protocol):
    @property
    def identity(self) -> str:
        """What stands in keys for all that decides the vectors: weights, pooling, instruction, length."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """→ [texts, width] float32. A text's vector does not depend on the others, but for rounding. No texts: [0, 0]."""
        ...


def open_embedder(settings: EmbedderSettings) -> Embedder:
    """The embedder that the settings name; InputError where there is none of that name."""
    if is_server(settings.embedder):
        from engine.embeddings.server import ServerEmbedder

        endpoint = open_endpoint(
            settings.embedder, settings.embedder_model, settings.embedder_key, ServerSettings(), "embedder"
        )
        return ServerEmbedder(endpoint, _identity(f"server:{endpoint.model}", settings), settings)
    source = _sentence_model(settings.embedder, settings.embedder_revision)
    if source is not None:
        from engine.embeddings.sentence import SentenceEmbedder

        return SentenceEmbedder(source, _identity(f"sentence:{source.identity}", settings), settings)
    from engine.embeddings.hidden_states import HiddenStateEmbedder

    source = resolve_model(settings.embedder, settings.embedder_revision)
    return HiddenStateEmbedder(source, _identity(f"hidden:{source.identity}", settings), settings)


def _identity(model: str, settings: EmbedderSettings) -> str:
    instruction = settings.embedding_instruction
    told = "" if instruction is None else f":instruction={text_hash(instruction)[:16]}"
    return f"{model}{told}{'' if settings.embedding_normalise else ':raw'}"


def _sentence_model(name: str, revision: str | None) -> ModelSource | None:
    """The sentence-transformers model of that name; None where it is another kind of model, or a name of ours."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / MODULES).is_file():
            return None
        return ModelSource(name, str(folder), None, folder_identity(folder, deep=True))
    source = resolve_model(name, revision)
    return source if source.revision is not None and _hub_has_modules(name, source.revision) else None


def _hub_has_modules(name: str, commit: str) -> bool:
    """Whether a hub model lists parts: looked for in the cache, then asked. A snapshot without the list, where the hub cannot
    be asked, was fetched as a plain language model."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub import errors as hub

    cached = try_to_load_from_cache(name, MODULES, revision=commit)
    if cached is not None:
        return isinstance(cached, str)  # else the mark that the hub has no such file
    try:
        return HfApi(token=find_key("HF_TOKEN")).file_exists(name, MODULES, revision=commit)
    except hub.HfHubHTTPError as error:
        raise EngineError(f"The hub did not say what kind of model {name} is ({error}); run the command again.") from error
    except (hub.HTTPError, OSError):  # pyright: ignore  the transport's own error, whichever library the hub uses
        return False
