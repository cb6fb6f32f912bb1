"""What an assistant proposed, out of whatever it wrote around it (§4.4).

Owns finding the prompts in a reply's JSON object, or in its lines. It asks nobody: whoever does asks again where this finds
none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PROMPT_KEY = re.compile(r"prompt|response|text", re.IGNORECASE)
_HYPOTHESIS_KEY = re.compile(r"hypothes", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_MARK = re.compile(r"^[\s\-*•>#]*(?:\(?\d+[.):]+)?\s*|^\W+$")
_QUOTES = "\"'“”‘’,"


def prompts_of(found: Mapping[str, Any]) -> list[str]:
    """The texts under keys that speak of prompts, responses or texts, by the first number in the key; keys without one last."""
    keys = [key for key in found if _PROMPT_KEY.search(key) and not _HYPOTHESIS_KEY.search(key)]
    return [text for key in sorted(keys, key=_place) for text in _texts(found[key])]


def hypotheses_of(found: Mapping[str, Any]) -> list[str]:
    """What the assistant supposes about the models, where it was asked to say so first."""
    return [text for key in sorted(filter(_HYPOTHESIS_KEY.search, found), key=_place) for text in _texts(found[key])]


def lines_of(reply: str) -> list[str]:
    """A prompt per line, without bullets, numbers and quotes: the last resort, where it is allowed."""
    lines = (_MARK.sub("", line).strip().strip(_QUOTES).strip() for line in reply.splitlines())
    return [line for line in lines if any(character.isalnum() for character in line) and not line.endswith(":")]


def _place(key: str) -> tuple[bool, int]:
    number = _NUMBER.search(key)
    return (number is None, int(number[0]) if number else 0)


def _texts(value: Any) -> Iterator[str]:
    """Strings, alone, in lists or in objects; whatever else a model puts there is none."""
    if isinstance(value, str) and value.strip():
        yield value.strip()
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
