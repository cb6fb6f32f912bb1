"""A causal language model as an embedder: the mean of its last hidden states over a text's own tokens (spec §6.4).

Owns tokens, batches and the masked mean. Pads and special tokens (BOS) are computed where the model expects them and left out
of the mean; no chat template, since the text is read as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.embedding_settings import EmbedderSettings
from engine.identity import ModelSource
from engine.progress import notice

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from engine.models import LoadedModel


@dataclass(frozen=True, slots=True)
class _Tokens:
    """`own`: which of `ids` are the text's."""

    ids: tuple[int, ...]
    own: tuple[bool, ...]


class HiddenStateEmbedder:
    """Loaded at the first text. A text without tokens has the vector 0."""

    def __init__(self, source: ModelSource, identity: str, settings: EmbedderSettings) -> None:
        self.identity = identity
        self._source, self._settings = source, settings
        self._model: LoadedModel | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 0), np.float32)
        from engine.models import load_source

        if self._model is None:
            self._model = load_source(self._source, device_map=self._settings.embedding_device)
        model = self._model
        rows = self._encode(model, texts)
        vectors = np.zeros((len(texts), model.hidden_size), np.float32)
        order = sorted((index for index, row in enumerate(rows) if any(row.own)), key=lambda index: len(rows[index].ids))
        for start in range(0, len(order), self._settings.embedding_batch_size):
            chosen = order[start : start + self._settings.embedding_batch_size]
            vectors[chosen] = _means(model, [rows[index] for index in chosen]).numpy()
        return normalised(vectors) if self._settings.embedding_normalise else vectors

    def _encode(self, model: LoadedModel, texts: Sequence[str]) -> list[_Tokens]:
        """Each text behind what the tokenizer puts first and the instruction; what exceeds the model's positions is cut."""
        tokenizer, instruction = model.tokenizer, self._settings.embedding_instruction or ""
        head = tuple(tokenizer(instruction, add_special_tokens=False).input_ids) if instruction else ()
        limit = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
        rows, cut = [], 0
        for text in texts:
            found = tokenizer(text, return_special_tokens_mask=True, verbose=False)
            ids, special = tuple(found.input_ids), [bool(one) for one in found.special_tokens_mask]
            first = special.index(False) if False in special else len(ids)  # the instruction stands behind a BOS
            row_ids = (*ids[:first], *head, *ids[first:])
            own = (*(False,) * (first + len(head)), *(not one for one in special[first:]))
            cut += limit is not None and len(row_ids) > limit
            rows.append(_Tokens(row_ids[:limit], own[:limit]))
        if cut:
            notice(
                f"{cut} of {len(texts)} texts are longer than the {limit} positions of {model.name}; their ends were not read"
            )
        return rows


def _means(model: LoadedModel, rows: Sequence[_Tokens]) -> Tensor:
    """→ [rows, hidden] float32 on the CPU."""
    import torch

    from engine.forward import enough_memory, if_padded, pad

    ids, valid = pad([row.ids for row in rows], "right")
    own, _ = pad([row.own for row in rows], "right")
    mask = if_padded(valid)
    with torch.inference_mode(), enough_memory(len(rows)):
        hidden = model.model.base_model(
            input_ids=ids.to(model.device),
            attention_mask=None if mask is None else mask.to(model.device),
            use_cache=False,
        ).last_hidden_state
        weights = own.to(hidden.device, torch.float32)
        sums = torch.einsum("bsh,bs->bh", hidden.float(), weights)
        return (sums / weights.sum(1, keepdim=True)).cpu()


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
