"""Cells as they are named by people: by the beginning of a key, and in tables by where they are in their sweep. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import EngineError, InputError
from engine.store import cells_with_responses
from engine.workspace import Workspace

Catalog = Mapping[str, Mapping[str, Any]]
"""What is recorded of every cell, by key."""

_SHORT = 8  # letters of a key that a table shows
_USUAL = {"site": "stream", "edit": "none", "positions": "completion", "system_prompt": "none", "scale": "vector"}
"""Settings that are named where they are something else than this."""
_QUIET = ("model", "vector_model", "vector_layer", "temperature", "top_k", "top_p", "seed", "max_new_tokens")
"""Settings that are named only to tell the cells of one table apart."""


def named_cells(workspace: Workspace, prefixes: Sequence[str]) -> list[str]:
    """The cells with responses whose keys begin so; without prefixes all of them."""
    there = cells_with_responses(workspace)
    if not there:
        raise EngineError("There are no responses in this workspace; make some first, with `tiller steer apply` for example.")
    for prefix in prefixes:
        if not any(cell.startswith(prefix) for cell in there):
            raise InputError(f"No cell with responses begins with '{prefix}'; they are {_listed(there)}.")
    return [cell for cell in there if not prefixes or cell.startswith(tuple(prefixes))]


def named_cell(workspace: Workspace, prefix: str) -> str:
    """The one cell whose key begins so."""
    found = named_cells(workspace, [prefix])
    if len(found) > 1:
        raise InputError(f"{len(found)} cells begin with '{prefix}': {_listed(found)}; give more of the key.")
    return found[0]


def cell_names(rows: Sequence[Sequence[str]], recorded: Catalog) -> tuple[str, list[str]]:
    """What all cells of a table have in common ("agree, layer 2"), and each row by the rest: "3f2a91c0 × -0.5". Two cells of a
    row were compared."""
    parts = {cell: _parts(cell, recorded) for row in rows for cell in row}
    common = {
        key: word for key, word in next(iter(parts.values())).items() if all(one.get(key) == word for one in parts.values())
    }
    if len(parts) == 1:
        common.pop("multiplier", None)  # there is no sweep to head with it
    heading = [word for key, word in common.items() if key not in _QUIET]
    shown = {
        cell: " ".join([cell[:_SHORT], *(word for key, word in one.items() if key not in common)])
        for cell, one in parts.items()
    }
    return ", ".join(heading), [" over ".join(shown[cell] for cell in row) for row in rows]


def _parts(cell: str, recorded: Catalog) -> dict[str, str]:
    """Where a cell is in its sweep, in words."""
    settings = recorded.get(cell, {}).get("settings", {})
    words: dict[str, str] = {}
    if "behavior" in settings:
        words["behavior"] = str(settings["behavior"])
    if settings.get("layer"):
        several = "s" if len(settings["layer"]) > 1 else ""
        words["layer"] = f"layer{several} {', '.join(map(str, settings['layer']))}"
    if settings.get("multipliers"):
        words["multiplier"] = f"× {settings['multipliers'][0]:+g}"
    if settings.get("control", "none") != "none":
        words["control"] = f"{settings['control']} {settings['control_seed'][0]}"
    for name in (*_USUAL, *_QUIET):
        if settings.get(name) is not None and settings[name] != _USUAL.get(name):
            words[name] = f"{name.replace('_', ' ')} {settings[name]}"
    return words


def cell_place(cell: str, recorded: Catalog) -> tuple[Any, ...]:
    """To sort by: behaviour, a vector before its random ones, layer, seed, multiplier."""
    settings = recorded.get(cell, {}).get("settings", {})
    return (
        str(settings.get("behavior", "")),
        str(settings.get("control", "")),
        *(tuple(settings.get(name) or ()) for name in ("layer", "control_seed", "multipliers")),
        cell,
    )


def _listed(cells: Sequence[str]) -> str:
    shown = ", ".join(cell[:_SHORT] for cell in cells[:6])
    return f"{shown} and {len(cells) - 6} more" if len(cells) > 6 else shown
