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


def cell_name(cell: str, recorded: Catalog) -> str:
    """The beginning of its key and where it is in its sweep: "3f2a91c0 agree layer 2 × -0.5"."""
    settings = recorded.get(cell, {}).get("settings", {})
    words = [cell[:_SHORT]]
    if "behavior" in settings:
        words.append(str(settings["behavior"]))
    if settings.get("layer"):
        words.append(f"layer {settings['layer'][0]}")
    if settings.get("multipliers"):
        words.append(f"× {settings['multipliers'][0]:+g}")
    if settings.get("control") == "random":
        words.append(f"random {settings['control_seed'][0]}")
    return " ".join(words)


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
