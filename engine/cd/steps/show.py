"""`tiller cd show`: texts of two models, coloured and sorted by how they differ; several cells side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.atomic import write_whole
from engine.cd.show_settings import ShowSettings
from engine.cd.texts.cells import cell_label, cell_records, names_of, read_cells
from engine.cd.texts.records import MeasuredText, read_means, read_texts
from engine.cd.views.coloring import Look
from engine.cd.views.tables import (
    cells_table,
    check_measure,
    chosen,
    classic_csv,
    counted,
    entries_table,
    picture,
    prompts_table,
    summary,
)
from engine.cd.views.vocabulary import largest_terms, read_vocabulary, token_means
from engine.errors import InputError
from engine.plots.picture import save_picture, show
from engine.workspace import Workspace, find_workspace


def run(settings: ShowSettings) -> str:
    workspace = find_workspace()
    check_measure([], settings.measure, settings.region)
    if settings.csv is not None and Path(settings.csv).expanduser().is_dir():
        raise InputError(f"--csv {settings.csv!r} is a folder; name a file in it.")
    records = cell_records(workspace)
    cells = read_cells(workspace, settings.cell or [*records])
    if len(cells) > 1:
        return _beside(workspace, settings, cells, records)
    (cell,), record = cells, records[cells[0]]
    texts = list(read_texts(workspace, cell).values())
    check_measure(texts, settings.measure, settings.region)
    strings = read_vocabulary(workspace, record)
    members = (Path(record["facts"]["starting"]["name"]).name, Path(record["facts"]["comparison"]["name"]).name)
    look = Look(cell_label(record), settings.measure, settings.region, members, strings)
    view = picture(chosen(texts, settings.measure, settings.region, settings.sort, settings.top), look, settings.sort)
    show(view)
    if len({text.prompt_id for text in texts}) > 1:
        print(prompts_table(texts, settings.measure, settings.region, settings.top), end="\n\n")
    if settings.vocabulary:
        _print_vocabulary(texts, settings.measure, strings)
    made = []
    if settings.html:
        made.append(workspace.relative(save_picture(workspace, "texts", settings.key(cell=cell), view)))
    if settings.csv is not None:
        path = Path(settings.csv).expanduser()
        write_whole(path, classic_csv(texts, settings.measure, settings.region).encode())
        made.append(str(path))
    return "; ".join(
        [f"show: cell {cell}, {counted(len(texts), 'text')}; {summary(texts, settings.measure, settings.region)}", *made]
    )


def _beside(workspace: Workspace, settings: ShowSettings, cells: list[str], records: dict[str, dict[str, Any]]) -> str:
    if settings.html or settings.csv is not None or settings.vocabulary:
        raise InputError("--html, --csv and --vocabulary show the texts of one cell; give one, or leave them out.")
    if settings.region == "both":
        raise InputError("--region both is for the texts of one cell; give one cell, or another region.")
    means = [read_means(workspace, cell, settings.region) for cell in cells]
    names = names_of(workspace)
    labels = [", ".join([*names.get(cell, ()), cell_label(records[cell])]) for cell in cells]
    print(f"\n{cells_table(means, labels, settings.measure)}\n")
    return f"show: {len(cells)} cells by {settings.measure}"


def _print_vocabulary(texts: list[MeasuredText], measure: str, strings: dict[int, str]) -> None:
    print(entries_table("Vocabulary entries that make KL(S||C)", largest_terms(texts, strings), "sum"), end="\n\n")
    means = token_means(texts, measure, strings)
    print(entries_table(f"Written tokens with the highest {measure}", means, "mean"), end="\n\n")
    print(entries_table(f"Written tokens with the lowest {measure}", means[::-1], "mean"), end="\n\n")
