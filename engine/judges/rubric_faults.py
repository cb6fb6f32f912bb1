"""What is wrong with a rubric's file, in one sentence: pydantic's findings in the words of who wrote the TOML. No torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError


def first_fault(error: ValidationError, known: Iterable[str]) -> str:
    """The first thing that is wrong, as field, problem and mend. known: the fields that there are."""
    found = error.errors(include_url=False)[0]
    field = "".join(f" number {part + 1}" if isinstance(part, int) else f".{part}" for part in found["loc"]).lstrip(".")
    if found["type"] == "missing":
        return f"field {field} is missing; add it"
    if found["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(found["loc"][-1]), list(known), 1)
        return f"field {field} is unknown; " + (f"write {close[0]}" if close else "take it out")
    if found["type"] == "value_error":
        problem = found["msg"].removeprefix("Value error, ")
        return f"field {field} {problem}" if field else problem
    if found["type"] == "tuple_type":
        table = isinstance(found["input"], dict)
        return f"field {field} must be a list, not {_short(found['input'])}; " + (f"write [[{field}]]" if table else "mend it")
    if found["type"] == "too_long":
        most = found.get("ctx", {}).get("max_length")
        return f"field {field} has more than {most} entries; give {most}"
    return f"field {field}: {found['msg'][0].lower()}{found['msg'][1:]}, not {_short(found['input'])}; mend it"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
