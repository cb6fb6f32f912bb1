"""Texts as vectors: `open_embedder` finds what makes them, `EmbeddingCache` keeps them. Loads no torch before a text comes."""

from engine.embeddings.cache import EmbeddingCache
from engine.embeddings.embedder import Embedder, open_embedder

__all__ = ["Embedder", "EmbeddingCache", "open_embedder"]
