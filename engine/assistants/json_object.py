"""The JSON object in what an assistant said, whatever stands around it (specs/contrastive_decoding.md §4.4)."""

from __future__ import annotations

import json
import re
from typing import Any


def find_object(reply: str) -> dict[str, Any] | None:
    """The first JSON object of a reply that says something; braces inside of strings do not count."""
    decoder = json.JSONDecoder(strict=False)  # models break lines inside of strings
    for match in re.finditer(r"\{", reply):
        try:
            found = _writable(decoder.raw_decode(reply, match.start())[0])
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found:
            return found
    return None


def _writable(value: Any) -> Any:
    """Without halves of surrogate pairs, which JSON can hold and no file can (`engine.remote` does so with whole replies)."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_writable(one) for one in value]
    if isinstance(value, dict):
        return {_writable(name): _writable(one) for name, one in value.items()}
    return value
