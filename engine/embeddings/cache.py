"""Vectors that are kept: a text is embedded once for each embedder, whoever asks.

Owns `artifacts/embeddings/<key>/<writer>-<n>.safetensors`: segments that are written whole and never changed, so that several
processes may add to them and a killed one loses no more than what it was just computing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.atomic import write_whole
from engine.embeddings.embedder import Embedder
from engine.errors import EngineError
from engine.progress import Progress
from engine.store import load_arrays, writer_name
from engine.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 1024  # texts per segment: what a killed process has to compute again


class EmbeddingCache:
    """An embedder whose vectors are on disk before they are handed out."""

    def __init__(self, workspace: Workspace, embedder: Embedder) -> None:
        self._embedder = embedder
        self._folder = workspace.artifacts / "embeddings" / hashlib.sha256(embedder.identity.encode()).hexdigest()[:16]
        self._writer = writer_name()
        self._known: dict[bytes, NDArray[np.float32]] = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            arrays = load_arrays(path)
            self._remember(arrays["hashes"], arrays["vectors"])

    @property
    def identity(self) -> str:
        return self._embedder.identity

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """→ [texts, width] float32; only texts that are not kept yet are embedded."""
        hashes = [_hash(text) for text in texts]
        missing = {name: text for name, text in zip(hashes, texts, strict=True) if name not in self._known}
        if missing:
            self._add(missing)
        if not hashes:
            return np.zeros((0, 0), np.float32)
        return np.stack([self._known[name] for name in hashes])

    def _add(self, missing: dict[bytes, str]) -> None:
        names = sorted(missing, key=lambda name: len(missing[name]))  # batches of like length, over the segments too
        with Progress("embeddings", len(names)) as progress:
            for start in range(0, len(names), _AT_ONCE):
                chosen = names[start : start + _AT_ONCE]
                vectors = self._embedder.embed([missing[name] for name in chosen])
                if wrong := int((~np.isfinite(vectors)).any(axis=1).sum()):
                    raise EngineError(
                        f"The embedder gave {wrong} of {len(chosen)} texts vectors with places that are no finite numbers; "
                        "check its weights, or name another --embedder."
                    )
                hashes = np.frombuffer(b"".join(chosen), np.uint8).reshape(len(chosen), -1)
                self._write(hashes, vectors)
                self._remember(hashes, vectors)
                progress.advance(len(chosen))

    def _write(self, hashes: NDArray[np.uint8], vectors: NDArray[np.float32]) -> None:
        from safetensors.numpy import save

        number = 1
        while (path := self._folder / f"{self._writer}-{number}.safetensors").exists():
            number += 1
        write_whole(path, save({"hashes": hashes, "vectors": vectors}, metadata={"embedder": self.identity}))

    def _remember(self, hashes: NDArray[np.uint8], vectors: NDArray[np.float32]) -> None:
        self._known.update((name.tobytes(), vector) for name, vector in zip(hashes, vectors, strict=True))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
