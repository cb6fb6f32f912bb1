"""Measurements: numbers read off a model, as numbered Parquet segments, each written whole.

Owns the paths `artifacts/measurements/<kind>/<cell>/<writer>-<n>.parquet`; the columns belong to the method that measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.atomic import write_whole
from engine.errors import EngineError
from engine.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow

Rows = Sequence[Mapping[str, Any]]


def measurements_folder(workspace: Workspace, kind: str, cell: str) -> Path:
    return workspace.artifacts / "measurements" / kind / cell


def write_measurements(workspace: Workspace, kind: str, cell: str, writer: str, rows: Rows, schema: pyarrow.Schema) -> Path:
    """Write `rows` as the writer's next segment and return its path."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist(list(rows), schema=schema)
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer)
    folder = measurements_folder(workspace, kind, cell)
    number = 1
    while (path := folder / f"{writer}-{number}.parquet").exists():
        number += 1
    write_whole(path, buffer.getvalue().to_pybytes())
    return path


def read_measurements(workspace: Workspace, kind: str, cell: str, id_column: str) -> dict[str, dict[str, Any]]:
    """All rows of one cell by id, the newest where an id repeats."""
    import pyarrow
    import pyarrow.parquet

    folder = measurements_folder(workspace, kind, cell)
    rows = {}
    if folder.is_dir():
        for path in sorted(folder.glob("*.parquet"), key=lambda path: (path.stat().st_mtime_ns, path.name)):
            try:
                table = pyarrow.parquet.ParquetFile(path).read()
            except pyarrow.ArrowInvalid as error:
                raise EngineError(f"{path} is not a readable Parquet file ({error}); move it away and run again.") from error
            rows.update({row[id_column]: row for row in table.to_pylist()})
    return rows
