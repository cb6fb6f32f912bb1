"""What token ids say: the strings of a tokenizer, kept once beside the records, so that views need no tokenizer.

Owns `artifacts/vocabularies/<key>.json` and what is summed over tokens: which entries of the vocabulary make the difference
(§2.1), and which written tokens it falls on (§6.2). No torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.atomic import write_whole
from engine.cd.texts.pieces import text_pieces
from engine.cd.texts.records import MeasuredText
from engine.errors import EngineError
from engine.store import note_artifact
from engine.workspace import Workspace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FACT = "vocabulary"
"""Under this name a cell's record says which vocabulary its token ids belong to."""
LEAST = 3
"""Occurrences of a written token below which its mean says nothing (§6.2)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A token, how often it counts, and the sum and mean of its numbers."""

    text: str
    count: int
    total: float

    @property
    def mean(self) -> float:
        return self.total / self.count


def record_vocabulary(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> str:
    """Keep the tokenizer's strings, if they are not kept → their key."""
    names = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    key = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    path = _path(workspace, key)
    if not path.exists():
        # a first token may lose its space in decoding, so each is read behind itself
        strings: dict[int, str] = {token: text_pieces(tokenizer, [token], [token])[0] or name for name, token in names}
        write_whole(path, json.dumps(strings, ensure_ascii=False).encode())
        note_artifact(workspace, path, "vocabularies", key)
    return key


def read_vocabulary(workspace: Workspace, record: Mapping[str, Any]) -> dict[int, str]:
    """Id → string, for the ids of a cell. record: the cell's."""
    path = _path(workspace, record["facts"][FACT])
    try:
        return {int(token): text for token, text in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path}, which says what token ids mean, cannot be read ({error}); copy it from where the texts were written."
        ) from error


def largest_terms(texts: Iterable[MeasuredText], strings: Mapping[int, str]) -> list[Entry]:
    """Vocabulary entries by the sum of their terms of KL(S||C) over all written places, largest first. Terms are stored of the
    largest entries at each place only, so a sum is of those places at which the entry is among them."""
    ids, values = [], []
    for text in texts:
        ids.append(text.generated.terms[0].ravel())
        values.append(text.generated.terms[1].ravel())
    return _summed(_joined(ids, np.int64), _joined(values, np.float64), strings, least=1)


def token_means(texts: Iterable[MeasuredText], measure: str, strings: Mapping[int, str], least: int = LEAST) -> list[Entry]:
    """Written tokens that occur `least` times or more, by the mean of the measure at them, highest first."""
    ids, values = [], []
    for text in texts:
        ids.append(np.asarray(text.token_ids, dtype=np.int64))
        values.append(text.numbers(measure))
    found = _summed(_joined(ids, np.int64), _joined(values, np.float64), strings, least)
    return sorted(found, key=lambda entry: -entry.mean)


def _summed(ids: Any, values: Any, strings: Mapping[int, str], least: int) -> list[Entry]:
    tokens, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
    totals = np.bincount(places, weights=values, minlength=len(tokens))
    entries = [
        Entry(strings.get(token, f"#{token}"), count, total)
        for token, count, total in zip(tokens.tolist(), counts.tolist(), totals.tolist(), strict=True)
        if count >= least
    ]
    return sorted(entries, key=lambda entry: -entry.total)


def _joined(arrays: Sequence[Any], dtype: Any) -> Any:
    return np.concatenate(arrays).astype(dtype) if arrays else np.empty(0, dtype)


def _path(workspace: Workspace, key: str) -> Path:
    return workspace.artifacts / "vocabularies" / f"{key}.json"
