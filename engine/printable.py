"""Text from data and models made safe to print: nothing in it may move the cursor, hide or reorder what is around it.

Owns that one decision for the engine's own output. Letters of every script stay as they are.
"""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"  # letters of Persian and of emoji need them; they cannot reorder or hide
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    """`text` on one line: control and invisible format characters, surrogates and line breaks as escapes."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _REFUSED:
        return character
    return repr(character)[1:-1] if character.isascii() else f"\\u{ord(character):04x}"
