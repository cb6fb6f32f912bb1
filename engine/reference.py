"""The reference of a verb's options in Markdown, made from the settings classes: `python -m engine.reference steer|cd|judge`.

Owns the page's form. Options that several steps share are told once, under the class that declares them. No torch.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from engine.command_line import Steps
from engine.settings import StepSettings, is_positional

Settings = type[StepSettings]

_TABLES = {"steer": "engine.steering.cli", "judge": "engine.judges.cli", "cd": "engine.cd.cli"}


def reference(verb: str, steps: Steps) -> str:
    """The whole page."""
    shared = _shared(steps)
    parts = [
        f"# `tiller {verb}`",
        f"All options of all steps, made from the settings classes by `python -m engine.reference {verb}`. An option with\n"
        "several values takes them one after another: `--multipliers -1 0 1`. A switch is given as `--logit` or `--no-logit`.",
        _table(["step", "what it does"], [[_link(verb, name), about] for name, (_, about) in steps.items()]),
    ]
    for name, (settings, _) in steps.items():
        groups = [owner for owner in _owners(settings) if owner in shared]
        own = [field for owner in _owners(settings) if owner not in shared for field in _declared(settings, owner)]
        parts += [f"## `tiller {verb} {name}`", _doc(settings)]
        parts += [_options(own)] if own else []
        if groups:
            listed = ", ".join(f"[{_title(owner)}](#{_title(owner).replace(' ', '-')})" for owner in groups)
            parts.append(f"{'And those' if own else 'Options: those'} of: {listed}.")
    parts.append("## Shared options")
    for owner in shared:
        parts += [f"### {_title(owner)}", _doc(owner), _options(_declared(owner, owner))]
    return "\n\n".join(parts) + "\n"


def _shared(steps: Steps) -> list[Settings]:
    """The classes whose options more than one step has, the commonest first."""
    counts: dict[Settings, int] = {}
    for settings, _ in steps.values():
        for owner in _owners(settings):
            counts[owner] = counts.get(owner, 0) + 1
    own = {settings for settings, _ in steps.values()}
    often = [owner for owner, count in counts.items() if count > 1 and (owner not in own or count > 2)]
    return sorted(often, key=lambda owner: -counts[owner])


def _owners(settings: Settings) -> Iterator[Settings]:
    """The classes that declare options of a step, its own first."""
    for owner in settings.__mro__:
        if issubclass(owner, StepSettings) and any(True for _ in _declared(settings, owner)):
            yield owner


def _declared(settings: Settings, owner: Settings) -> list[tuple[str, FieldInfo]]:
    """The options of a step that this class declares, and none nearer to the step declares anew."""
    found = []
    for name, field in settings.model_fields.items():
        nearest = next(each for each in settings.__mro__ if name in inspect.get_annotations(each))
        if nearest is owner:
            found.append((name, field))
    return found


def _options(fields: list[tuple[str, FieldInfo]]) -> str:
    rows = []
    for name, field in fields:
        option = f"`{name.upper()}`" if is_positional(field) else f"`--{name.replace('_', '-')}`"
        rows.append([option, _values(field.annotation), _default(field), field.description or ""])
    return _table(["option", "values", "default", "what it does"], rows)


def _values(annotation: Any) -> str:
    """The type of an option as a reader of a command line says it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is tuple:
        return f"several: {_values(inner[0])}"
    if origin in (Union, types.UnionType):
        return ", ".join(_values(each) for each in inner if each is not type(None))
    return {str: "text", int: "whole number", float: "number", bool: "switch"}.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value == ():
        return "none"
    return f"`{' '.join(map(str, value)) if isinstance(value, tuple) else value}`"


def _title(owner: Settings) -> str:
    """`JudgeSettings` → judge."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in owner.__name__)
    return words.removesuffix(" settings").strip()


def _doc(owner: Settings) -> str:
    return " ".join((owner.__doc__ or "").split())


def _link(verb: str, name: str) -> str:
    return f"[`{name}`](#tiller-{verb}-{name.replace(' ', '-')})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(verb: str) -> None:
    table: Steps = importlib.import_module(_TABLES[verb]).STEPS
    print(reference(verb, table), end="")


if __name__ == "__main__":
    main(sys.argv[1])
