"""Whether an item was there before: exactly, after normalisation, or nearly.

Near means the indel similarity of normalised texts (rapidfuzz `ratio`), in their own word order and with words sorted, so that
a reordered sentence is found too. Some thousands of items take seconds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from rapidfuzz import fuzz, process

_NOT_WORDS = re.compile(r"[^\w]+")


def normalised(text: str) -> str:
    """Case, accents' composition, punctuation and space do not make two texts different."""
    return _NOT_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


class Seen:
    """The texts so far. `similarity` in % from which on two texts count as the same; 100 finds exact ones only."""

    def __init__(self, similarity: float, texts: Iterable[str] = ()) -> None:
        self._similarity = similarity
        self._exact: set[str] = set()
        self._plain: list[str] = []
        self._sorted: list[str] = []
        for text in texts:
            self.add(text)

    def find(self, text: str) -> Literal["duplicate", "near-duplicate"] | None:
        plain = normalised(text)
        if plain in self._exact:
            return "duplicate"
        if self._similarity >= 100:
            return None
        for query, choices in ((plain, self._plain), (_words_sorted(plain), self._sorted)):
            if process.extractOne(query, choices, scorer=fuzz.ratio, score_cutoff=self._similarity) is not None:
                return "near-duplicate"
        return None

    def add(self, text: str) -> None:
        plain = normalised(text)
        if plain not in self._exact:
            self._exact.add(plain)
            self._plain.append(plain)
            self._sorted.append(_words_sorted(plain))


def _words_sorted(text: str) -> str:
    return " ".join(sorted(text.split()))
