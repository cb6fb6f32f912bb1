"""The texts at either end of each region's divergences, coloured token by token as `tiller cd show` does. No torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.cd.analysis.analysis import AnalysisRecord
from engine.cd.texts.cells import cell_records
from engine.cd.texts.records import read_texts
from engine.cd.views.coloring import Look, colored
from engine.cd.views.vocabulary import read_vocabulary
from engine.plots.shaded import ColoredTexts
from engine.workspace import Workspace


def coloured_ends(workspace: Workspace, record: AnalysisRecord, most: int | None = None) -> dict[str, ColoredTexts]:
    """Set → its texts, region by region, those that diverge most first; a set that has none in any list is left out. most: of
    either end. Texts that an analysis changed (self-tests) have no numbers of their own and are not to be asked for."""
    of = {text.id: text.of for text in record.texts}
    found: dict[str, ColoredTexts] = {}
    for place, (name, (cell, told)) in enumerate(record.cells.items()):
        wanted = [
            (f"{region.name}, {end}", one)
            for region in record.regions
            for end, ids in (("highest", region.high), ("lowest", region.low))
            for one in [one for one in ids if of[one] == place][:most]
        ]
        if not wanted:
            continue
        texts, about = read_texts(workspace, cell), cell_records(workspace)[cell]
        members = [Path(about["facts"][member]["name"]).name for member in ("starting", "comparison")]
        look = Look(
            f"{name}: {told}",
            record.settings["measure"],
            "generated",
            (members[0], members[1]),
            read_vocabulary(workspace, about),
        )
        view = colored([texts[one] for _, one in wanted], look)
        headed = (
            replace(text, heading=f"{where}: {text.heading}") for (where, _), text in zip(wanted, view.texts, strict=True)
        )
        found[name] = replace(view, texts=tuple(headed))
    return found
