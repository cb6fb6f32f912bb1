"""A reply's text → the records in it, or the reason why it has none.

Owns finding the JSON: bare, in a fenced block, or under the key `items`. What a record must hold belongs to each kind of item.
"""

from __future__ import annotations

import json
import re
from typing import Any

_FENCE = re.compile(r"```[A-Za-z]*[ \t]*\n(.*?)```", re.DOTALL)


class Unfit(Exception):
    """A reply or a record that cannot be used; its text is the reason it is counted under."""


def records_of(text: str, finish: str | None) -> list[Any]:
    """The list in a reply. A reply that was cut off is not searched for whole records: its last ones may be damaged."""
    blocks = _FENCE.findall(text)
    if len(blocks) > 1:
        raise Unfit("reply with several JSON blocks")
    try:
        value = json.loads(blocks[0] if blocks else text)
    except ValueError:
        raise Unfit("reply cut off, raise --max-tokens" if finish == "length" else "reply without JSON") from None
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        value = value["items"]
    if not isinstance(value, list):
        raise Unfit("reply that is no list")
    if not value:
        raise Unfit("reply with an empty list")
    return value


def text_field(record: Any, name: str, shortest: int, longest: int) -> str:
    """The text of a field with white space made plain; its length is within limits."""
    if not isinstance(record, dict):
        raise Unfit("no object")
    if name not in record:
        raise Unfit(f"{name} missing")
    value = record[name]
    if not isinstance(value, str):
        raise Unfit(f"{name} is no text")
    value = " ".join(value.split())
    if not value:
        raise Unfit(f"{name} empty")
    if not shortest <= len(value) <= longest:
        raise Unfit(f"{name} too {'short' if len(value) < shortest else 'long'}")
    if has_placeholder(value):
        raise Unfit("placeholder")
    return value


_PLACEHOLDER = re.compile(
    r"\[[^\]\d]{1,40}\]|<[A-Za-z][^<>]{0,40}>|\{[^{}]{0,40}\}"
    r"|\b(?:todo|tbd|lorem ipsum|x{3,}|insert [a-z]+ here)\b|^\W*\.\.\.\W*$",
    re.IGNORECASE,
)


def has_placeholder(text: str) -> bool:
    """[name], <topic>, {thing}, TODO, XXX, a lone ellipsis: text that was meant to be filled in."""
    return _PLACEHOLDER.search(text) is not None
