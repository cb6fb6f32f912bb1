"""What an assistant is told: a file of ours (.toml or .json), or one of those that come with tiller.

Owns the file's form and its errors. The shipped wordings are neutral; whoever looks for something in particular writes a file.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import InputError

SHIPPED = {path.stem: path for path in sorted((Path(__file__).parent / "wordings").glob("*.toml"))}
COUNT = "{count}"
"""Stands in a request for how many prompts are asked for."""


class Wording(BaseModel):
    """system: the role. with_examples: added to it when prompts with their divergences are shown. request: what is asked for.
    repair: asks for the JSON object alone. seeds: prompts to begin with, where none are given. criterion: what a judging
    assistant is told, with whole user turns as examples and the words that mean yes and no."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["prompts", "hypotheses"] = "prompts"
    system: str = ""
    with_examples: str = ""
    request: str = Field(min_length=1)
    repair: str = "Give only the JSON object of this text, mended where it is broken, and nothing else:"
    seeds: tuple[str, ...] = ()
    criterion: str | None = None
    criterion_examples: tuple[str, ...] = ()
    yes: tuple[str, ...] = Field(("yes",), min_length=1)
    no: tuple[str, ...] = Field(("no",), min_length=1)


def read_wording(name: str) -> Wording:
    """A shipped wording by its name, else a file."""
    path = SHIPPED.get(name) or Path(name).expanduser()
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        shipped = ", ".join(SHIPPED)
        raise InputError(f"There is no wording {name}; give a .toml or .json file, or one of {shipped}.") from error
    try:
        found: Any = tomllib.loads(content) if path.suffix == ".toml" else json.loads(content)
    except ValueError as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise InputError(f"{path} is not {kind} ({error}); mend it there.") from error
    return parse_wording(found, path)


def parse_wording(found: Any, path: Path) -> Wording:
    """A file's content as a wording; the error names the key."""
    if isinstance(found, dict) and {"system_start", "user_end", "KN_prompt_1"} & found.keys():
        raise InputError(f"{path} is a prompt file of the original program; run `tiller cd search import {path}` first.")
    try:
        return Wording.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}: {place}: {first['msg'].lower()}; see docs/how-to/divergence-search.md.") from error
