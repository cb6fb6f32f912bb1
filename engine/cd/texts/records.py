"""Texts with their numbers as records: responses as every method keeps them, numbers as measurements of kind `divergences`.

Owns writing and reading both together. Numbers are written before the response that they are about: a text that can be seen
always has its numbers, and numbers alone are of a text that will be written again. It knows neither models nor how texts are
made; no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from engine.cd.decoding.numbers import MEASURES, TokenNumbers
from engine.cd.settings import MemberName, Region
from engine.cd.texts import columns
from engine.cd.texts.cells import cell_label, read_cells
from engine.cd.texts.columns import PROMPT, TextColumns, number_columns, ragged, schema, text_row
from engine.errors import EngineError
from engine.store import (
    Response,
    Segment,
    append_records,
    measurements_folder,
    note_artifact,
    read_responses,
    text_hash,
    write_measurements,
)
from engine.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "KIND",
    "LOGPROBS",
    "CellMeans",
    "MeasuredText",
    "append_numbers",
    "append_texts",
    "cell_label",
    "read_cells",
    "read_means",
    "read_texts",
]

KIND = "divergences"
_ALWAYS = (columns.ID, columns.TEXT_HASH, columns.PROMPT_MEASURED)
LOGPROBS: Mapping[MemberName, str] = {"starting": "starting_logprob", "comparison": "comparison_logprob"}


@dataclass(frozen=True)
class MeasuredText:
    """A text and what two models thought of each of its tokens. `tokens` are the written ones as text pieces, in step with
    `generated`; `prompt_tokens` the shared ones of the prompt, but its first, in step with `prompt_numbers` (None where the
    prompt was not measured)."""

    id: str
    cell: str
    prompt_id: str
    prompt: str
    sample: int
    text: str
    tokens: Sequence[str]
    token_ids: Sequence[int]
    generated: TokenNumbers
    prompt_tokens: Sequence[str]
    prompt_numbers: TokenNumbers | None

    def numbers(self, measure: str, region: Region = "generated") -> NDArray[np.float32]:
        """The measure at every token of the region, [tokens]; none where the region was not measured."""
        parts = {"generated": [self.generated], "prompt": [self.prompt_numbers], "both": [self.prompt_numbers, self.generated]}
        known = [one.values[measure] for one in parts[region] if one is not None and measure in one.values]
        return np.concatenate(known) if len(known) == len(parts[region]) else np.empty(0, np.float32)

    def mean(self, measure: str, region: Region = "generated") -> float:
        """The measure's mean over the region's tokens; NaN where it has none, or was not measured."""
        numbers = self.numbers(measure, region)
        return float(numbers.mean(dtype=np.float64)) if len(numbers) else float("nan")

    def perplexity(self, member: MemberName, region: Region = "generated") -> float:
        """exp of the mean negative log-probability that the member gave to the region's tokens (§7.7: of no others)."""
        with np.errstate(over="ignore"):
            return float(np.exp(-self.mean(LOGPROBS[member], region)))


@dataclass(frozen=True)
class CellMeans:
    """The texts of a cell in columns, for statistics: [texts] each, in the order of prompt ids and samples."""

    cell: str
    ids: Sequence[str]
    prompt_ids: Sequence[str]
    prompts: Sequence[str]
    samples: NDArray[np.int64]
    texts: Sequence[str]
    token_counts: NDArray[np.int64]
    means: Mapping[str, NDArray[np.float64]]
    """{measure: [texts] mean over the region's tokens}, NaN where a text has none."""

    def __len__(self) -> int:
        return len(self.ids)

    def perplexity(self, member: MemberName) -> NDArray[np.float64]:
        """[texts]"""
        with np.errstate(over="ignore"):
            return np.exp(-self.means[LOGPROBS[member]])


def append_texts(
    workspace: Workspace, segment: Segment, writer: str, responses: Sequence[Response], texts: Sequence[MeasuredText]
) -> None:
    """Write a part of a cell, so that a kill at any moment leaves every text that can be read with its numbers. `responses`
    and `texts` are in step; segment: the cell's, of responses."""
    if texts:
        append_numbers(workspace, texts[0].cell, writer, texts)
        append_records(segment, responses)


def append_numbers(workspace: Workspace, cell: str, writer: str, texts: Sequence[MeasuredText]) -> None:
    """Write numbers of texts that are there already, or about to be."""
    rows = [
        text_row(
            TextColumns(
                text.id,
                text_hash(text.text),
                text.tokens,
                text.token_ids,
                text.generated,
                text.prompt_tokens,
                text.prompt_numbers,
            )
        )
        for text in texts
    ]
    path = write_measurements(workspace, KIND, cell, writer, rows, schema())
    note_artifact(workspace, path, "measurements", cell)


def read_texts(workspace: Workspace, cell: str) -> dict[str, MeasuredText]:
    """The cell's texts that have numbers, by id, in the order of prompt ids and samples."""
    responses, table = _joined(workspace, cell, None)
    generated, prompts = number_columns(table), number_columns(table, PROMPT)
    tokens, prompt_tokens = (table.column(name).to_pylist() for name in (columns.TOKENS, columns.PROMPT_TOKENS))
    ids, measured = ragged(table, columns.TOKEN_IDS), table.column(columns.PROMPT_MEASURED).to_pylist()
    return {
        response.id: MeasuredText(
            response.id,
            cell,
            response.prompt_id,
            response.prompt,
            response.sample,
            response.text,
            tokens[row],
            ids.row(row).tolist(),
            generated.row(row),
            prompt_tokens[row],
            prompts.row(row) if measured[row] else None,
        )
        for row, response in enumerate(responses)
    }


def read_means(workspace: Workspace, cell: str, region: Literal["generated", "prompt"] = "generated") -> CellMeans:
    """The cell's texts that have numbers, in columns: quick where single tokens are not wanted."""
    prefix = PROMPT if region == "prompt" else ""
    responses, table = _joined(workspace, cell, [prefix + name for name in columns.VALUES])
    values = {name: ragged(table, prefix + name) for name in columns.VALUES}
    lengths = np.diff(values["kl"].offsets)
    means = {name: column.means() for name, column in values.items() if name in MEASURES or len(column.flat)}
    return CellMeans(
        cell,
        [response.id for response in responses],
        [response.prompt_id for response in responses],
        [response.prompt for response in responses],
        np.array([response.sample for response in responses], dtype=np.int64),
        [response.text for response in responses],
        lengths,
        means,
    )


def _joined(workspace: Workspace, cell: str, names: Sequence[str] | None) -> tuple[list[Response], pyarrow.Table]:
    """The responses that have numbers, and these columns (None: all) in step with them."""
    table = _table(workspace, cell, names)
    ids, hashes, prompts = (table.column(name).to_pylist() for name in _ALWAYS)
    newest: dict[tuple[str, str], int] = {}
    for row, (key, with_prompt) in enumerate(zip(zip(ids, hashes, strict=True), prompts, strict=True)):
        if with_prompt or key not in newest or not prompts[newest[key]]:  # a writer that wants texts alone takes nothing away
            newest[key] = row
    written = sorted(read_responses(workspace, cell).values(), key=lambda one: (one.prompt_id, one.sample, one.id))
    responses = [response for response in written if (response.id, response.text_sha256) in newest]
    rows = [newest[response.id, response.text_sha256] for response in responses]
    return responses, table.take(np.array(rows, dtype=np.int64))


def _table(workspace: Workspace, cell: str, names: Sequence[str] | None) -> pyarrow.Table:
    """Every row of numbers, oldest first."""
    import pyarrow as pa
    import pyarrow.parquet

    whole = schema()
    wanted = whole if names is None else pa.schema([whole.field(name) for name in dict.fromkeys((*_ALWAYS, *names))])
    tables = [wanted.empty_table()]
    folder = measurements_folder(workspace, KIND, cell)
    for path in sorted(folder.glob("*.parquet"), key=lambda path: (path.stat().st_mtime_ns, path.name)):
        try:
            tables.append(pyarrow.parquet.ParquetFile(path).read(wanted.names).select(wanted.names))
        except (pa.ArrowInvalid, KeyError) as error:
            raise EngineError(
                f"{path} holds no numbers of texts that this version can read ({error}); move it away and run again."
            ) from error
    return pa.concat_tables(tables).combine_chunks()
