"""Cells of texts on a command line and in tables: which one a few letters mean, and what it is called.

Owns `artifacts/names`, the names that users give to cells. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.atomic import write_whole
from engine.cd.settings import TextSettings
from engine.errors import EngineError, InputError
from engine.progress import notice
from engine.store import cells_with_responses, read_catalog
from engine.workspace import Workspace

STEPS = ("cd.decode", "cd.score")
"""The steps whose cells hold texts with numbers."""

_NAMES = "names"
_SHOWN = 40  # letters of an option
_SAID = {"rule", "starting_weight", "comparison_weight"}  # the label tells these in words


def cell_records(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What is recorded of every cell of texts, by key."""
    written = set(cells_with_responses(workspace))
    catalog = read_catalog(workspace, "cells")
    return {key: record for key, record in catalog.items() if record["step"] in STEPS and key in written}


def read_cells(workspace: Workspace, prefixes: Sequence[str]) -> list[str]:
    """The keys that these names, or beginnings of keys, stand for, in their order. Without any: the only cell there is."""
    known = cell_records(workspace)
    if not known:
        raise InputError("There are no texts of two models in this workspace; write some with `tiller cd decode`.")
    if not prefixes:
        if len(known) > 1:
            raise InputError(f"There are {len(known)} cells of texts; name one or more of {_listed(known)}.")
        return list(known)
    names = _names(workspace)
    return list(dict.fromkeys(_one(known, names.get(prefix, prefix)) for prefix in prefixes))


def check_name(name: str | None) -> None:
    """Refuse what could be the beginning of a key, or is no name of a file."""
    if name is not None and not (re.fullmatch(r"[\w.=+-]{1,80}", name) and re.search(r"[^0-9a-f]", name) and name[0] != "."):
        raise InputError(
            f"--name {name!r}: a name has letters, digits and . _ = + - only, one of them not in keys (which have 0-9 and a-f)."
        )


def name_cell(workspace: Workspace, name: str | None, cell: str) -> None:
    """Call a cell so from now on; where the name was another's, or the cell has another, that is said."""
    if name is None:
        return
    names = _names(workspace)
    before = names.pop(name, None)
    if before not in (None, cell):
        notice(f"'{name}' was the name of cell {before}; from now on it is that of {cell}")
    others = sorted(other for other, known in names.items() if known == cell)
    if others and before != cell:
        notice(f"cell {cell} is called '{others[0]}' too: other prompts make no other cell, so both names are of all its texts")
    write_whole(workspace.artifacts / _NAMES / f"{name}.json", json.dumps({"cell": cell}).encode() + b"\n")


def names_of(workspace: Workspace) -> dict[str, list[str]]:
    """Cell → what it is called."""
    found: dict[str, list[str]] = {}
    for name, cell in sorted(_names(workspace).items()):
        found.setdefault(cell, []).append(name)
    return found


def _names(workspace: Workspace) -> dict[str, str]:
    found = {}
    for path in (workspace.artifacts / _NAMES).glob("*.json"):
        try:
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))["cell"]
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{path} does not name a cell ({error}); remove it.") from error
    return found


def cell_label(record: Mapping[str, Any]) -> str:
    """A cell in one line: both models, the rule, and every option that is not at its default. Names are those that the models
    had when the cell was made."""
    facts, settings = record["facts"], record["settings"]
    fields = TextSettings.model_fields
    ours = TextSettings(**{name: value for name, value in settings.items() if name in fields})
    others = [
        f"{name.replace('_', ' ')} {_short(value)}" for name, value in ours.decisive_fields().items() if name not in _SAID
    ]
    names = " / ".join(Path(facts[member]["name"]).name for member in ("starting", "comparison"))
    role = [f"for a {facts['role']}"] if facts.get("role") else []
    return ", ".join([names, facts["rule"], *others, *role])


def _short(value: object) -> object:
    """A persona may be pages long."""
    return f"{value[:_SHOWN]}…" if isinstance(value, str) and len(value) > _SHOWN else value


def rule_words(settings: TextSettings) -> str:
    """The combination in a few words: whose text is written, against whom."""
    starting, comparison = settings.starting_weight, settings.comparison_weight
    if settings.rule == "none":
        return "S alone" if starting > 0 else "C alone"
    weights = "" if {starting, comparison} == {1, -1} else f" ({starting:g}, {comparison:g})"
    against = "S − C" if starting > 0 > comparison else "C − S" if comparison > 0 > starting else "S + C"
    return f"{against} {settings.rule.removesuffix('_difference')}{weights}"


def _one(known: Mapping[str, Any], prefix: str) -> str:
    found = [key for key in known if key.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"No cell of texts begins with '{prefix}' or is called so; `tiller cd show` lists them all.")
    raise InputError(f"'{prefix}' is the beginning of {len(found)} cells, {_listed(found)}; give more of its letters.")


def _listed(keys: Sequence[str] | Mapping[str, Any], most: int = 8) -> str:
    shown = ", ".join(list(keys)[:most])
    return f"{shown}, …" if len(keys) > most else shown
