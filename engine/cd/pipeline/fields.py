"""Texts in what an assistant replied: that they are there, are texts, and are neither empty nor endless.

Owns nothing else: a prompt about `<div>` or an analysis with [1] in it is as good as any. Whoever reads more into a text (a
claim must leave no blanks) asks `engine.data_making.parsing`.
"""

from __future__ import annotations

from typing import Any

from engine.data_making.parsing import Unfit

_LONGEST = 4000  # letters


def text_of(record: Any, name: str) -> str:
    """The text of a field, white space made plain."""
    value = record.get(name) if isinstance(record, dict) else None
    return _checked(value, name)


def texts_of(record: Any, name: str, most: int) -> list[str]:
    """The texts of a list, each once; what is beyond `most` is not wanted. A field that is missing or null is empty."""
    values = record.get(name) if isinstance(record, dict) else None
    if not isinstance(values, list | None):
        raise Unfit(f"{name} is no list")
    return list(dict.fromkeys(_checked(value, f"an entry of {name}") for value in values or ()))[:most]


def _checked(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Unfit(f"{name} is no text")
    text = " ".join(value.split())
    if not text:
        raise Unfit(f"{name} is empty")
    if len(text) > _LONGEST:
        raise Unfit(f"{name} is too long")
    return text
