"""Which model turns texts into vectors, and how: shared by whatever compares texts by meaning.

No option here names artifacts: an embedder's identity stands for all that decides its vectors. No torch, no numpy, no network.
"""

from __future__ import annotations

from engine.settings import StepSettings, option


class EmbedderSettings(StepSettings):
    """What turns texts into vectors."""

    embedder: str = option(
        "demo",
        "what embeds texts: a sentence-transformers model or a causal language model ('demo', a folder or a hub id), or "
        "http(s)://HOST/v1 or 'openai' for a server's embeddings",
        affects_result=False,
    )
    embedder_model: str | None = option(None, "the model's name at a server", affects_result=False)
    embedder_key: str = option("OPENAI_API_KEY", "NAME of the variable that holds a server's key", affects_result=False)
    embedder_revision: str | None = option(None, "commit, tag or branch of a hub model", affects_result=False)
    embedding_instruction: str | None = option(
        None, "put before every text, as models of this kind want it (none: the model's own prompt, where it has one)",
        affects_result=False,
    )  # fmt: skip
    embedding_normalise: bool = option(
        True, "give every vector length 1, so that distances are those of angles", affects_result=False
    )
    embedding_device: str | None = option(
        None, "where a local embedder goes, such as cpu or cuda:0 (none: the GPU if there is one)", affects_result=False
    )
    embedding_batch_size: int = option(64, "texts per forward pass or request of an embedder", affects_result=False, ge=1)
