"""How numbers of texts lie in Parquet: one row per text, one nested column per measure.

Owns the columns, and the way between them and arrays. It knows neither where files are nor who measured; no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.cd.decoding.numbers import MEASURES, WEIGHTED, TokenNumbers

if TYPE_CHECKING:
    import pyarrow

ID, TEXT_HASH = "response_id", "text_sha256"
TOKENS, TOKEN_IDS, PROMPT_TOKENS, PROMPT_MEASURED = "tokens", "token_ids", "prompt_tokens", "prompt_measured"
PROMPT = "prompt."
"""Put before the name of a column that is about the prompt's tokens."""
VALUES = (*MEASURES, WEIGHTED)
_RANKED = ("starting_top", "comparison_top", "terms")
_IDS, _NUMBERS = ".ids", ".values"


@dataclass(frozen=True, slots=True)
class TextColumns:
    """One text's row, before it is written. prompt: None where it was not measured."""

    id: str
    text_sha256: str
    tokens: Sequence[str]
    token_ids: Sequence[int]
    generated: TokenNumbers
    prompt_tokens: Sequence[str]
    prompt: TokenNumbers | None


@dataclass(frozen=True)
class Ragged:
    """A nested column: row i is `flat[offsets[i]:offsets[i + 1]]`. offsets: [rows + 1] int64."""

    offsets: NDArray[np.int64]
    flat: NDArray[Any]

    def row(self, index: int) -> NDArray[Any]:
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    def means(self) -> NDArray[np.float64]:
        """[rows] float64: NaN in rows without numbers."""
        counts = np.diff(self.offsets)
        sums = np.full(len(counts), np.nan)
        filled = counts > 0
        if filled.any():  # rows without numbers take no room, so the starts of the others follow each other
            sums[filled] = np.add.reduceat(self.flat.astype(np.float64), self.offsets[:-1][filled])
        return sums / np.maximum(counts, 1)


@dataclass(frozen=True)
class Ranked:
    """A column of the likeliest tokens at every place: two ragged columns of places, each with its k entries."""

    places: NDArray[np.int64]
    ids: Ragged
    values: Ragged

    def row(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """ids and values, [tokens, k]."""
        first, last = self.places[index], self.places[index + 1]
        tokens = int(last - first)
        start, end = self.ids.offsets[first], self.ids.offsets[last]
        entries = int(end - start) // tokens if tokens else 0
        shape = (tokens, entries)
        return self.ids.flat[start:end].reshape(shape), self.values.flat[start:end].reshape(shape)


@dataclass(frozen=True)
class NumberColumns:
    """The numbers of many texts about one region, text by text on demand."""

    values: dict[str, Ragged]
    ranked: dict[str, Ranked]

    def row(self, index: int) -> TokenNumbers:
        values = {name: column.row(index) for name, column in self.values.items()}
        known = {name: column for name, column in values.items() if name in MEASURES or len(column)}  # others: when asked for
        starting, comparison, terms = (self.ranked[name].row(index) for name in _RANKED)
        return TokenNumbers(known, starting, comparison, terms)


def schema() -> pyarrow.Schema:
    import pyarrow as pa

    numbers, ids = pa.list_(pa.float32()), pa.list_(pa.int32())
    fields = [
        pa.field(ID, pa.string()),
        pa.field(TEXT_HASH, pa.string()),
        pa.field(TOKENS, pa.list_(pa.string())),
        pa.field(TOKEN_IDS, ids),
        pa.field(PROMPT_TOKENS, pa.list_(pa.string())),
        pa.field(PROMPT_MEASURED, pa.bool_()),
    ]
    for region in ("", PROMPT):
        fields += [pa.field(region + name, numbers) for name in VALUES]
        for name in _RANKED:
            fields += [pa.field(region + name + _IDS, pa.list_(ids)), pa.field(region + name + _NUMBERS, pa.list_(numbers))]
    return pa.schema(fields)


def text_row(text: TextColumns) -> dict[str, Any]:
    """A row of `schema()`. What was not measured is an empty list."""
    return {
        ID: text.id,
        TEXT_HASH: text.text_sha256,
        TOKENS: list(text.tokens),
        TOKEN_IDS: np.asarray(text.token_ids, dtype=np.int32),
        PROMPT_TOKENS: list(text.prompt_tokens),
        PROMPT_MEASURED: text.prompt is not None,
        **_region_row(text.generated, ""),
        **_region_row(text.prompt, PROMPT),
    }


def number_columns(table: pyarrow.Table, region: str = "") -> NumberColumns:
    """region: "" for the written tokens, `PROMPT` for those of the prompt."""
    ranked = {name: _ranked(table, region + name) for name in _RANKED}
    return NumberColumns({name: ragged(table, region + name) for name in VALUES}, ranked)


def ragged(table: pyarrow.Table, name: str) -> Ragged:
    offsets, items = _opened(table.column(name).combine_chunks())
    return Ragged(offsets, np.asarray(items))


def _ranked(table: pyarrow.Table, name: str) -> Ranked:
    places, ids = _opened(table.column(name + _IDS).combine_chunks())
    _, values = _opened(table.column(name + _NUMBERS).combine_chunks())
    (id_offsets, id_items), (value_offsets, value_items) = _opened(ids), _opened(values)
    return Ranked(places, Ragged(id_offsets, np.asarray(id_items)), Ragged(value_offsets, np.asarray(value_items)))


def _opened(array: Any) -> tuple[NDArray[np.int64], Any]:
    """A list array → its offsets, from 0 on, and its items."""
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):  # a table without rows has a column without chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    offsets = np.asarray(array.offsets, dtype=np.int64)
    return offsets - offsets[0], array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))


def _region_row(numbers: TokenNumbers | None, region: str) -> dict[str, Any]:
    if numbers is None:
        return {name: [] for name in (*(region + one for one in VALUES), *_ranked_names(region))}
    row: dict[str, Any] = {region + name: numbers.values.get(name, ()) for name in VALUES}
    for name, (ids, values) in zip(_RANKED, (numbers.starting_top, numbers.comparison_top, numbers.terms), strict=True):
        row[region + name + _IDS], row[region + name + _NUMBERS] = list(ids), list(values)
    return row


def _ranked_names(region: str) -> list[str]:
    return [region + name + part for name in _RANKED for part in (_IDS, _NUMBERS)]
