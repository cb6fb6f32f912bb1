"""Which words or token sequences the divergence between two models falls on (spec §6.3, mended).

Owns counting and scoring. A sequence's score is the sum of its units' divergences over all places where it stands; published
code multiplied that by the number of places.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Units = Sequence[tuple[str, float]]
"""One text: its tokens or words, each with its divergence."""


@dataclass(frozen=True, slots=True)
class Ngram:
    """`score`: summed over its `count` places in `texts` texts."""

    units: tuple[str, ...]
    count: int
    texts: int
    score: float

    @property
    def mean(self) -> float:
        """The score of one place."""
        return self.score / self.count


def score_ngrams(texts: Iterable[Units], shortest: int = 1, longest: int | None = None) -> list[Ngram]:
    """Every sequence of `shortest` to `longest` (None: just as long) units, by falling score; equal scores by their words."""
    sums: dict[tuple[str, ...], list[float]] = {}
    for text in texts:
        seen: set[tuple[str, ...]] = set()
        names, totals = [name for name, _ in text], _running([value for _, value in text])
        for length in range(shortest, (longest or shortest) + 1):
            for start in range(len(names) - length + 1):
                gram = tuple(names[start : start + length])
                known = sums.setdefault(gram, [0, 0, 0.0])
                known[0] += 1
                known[1] += gram not in seen
                known[2] += totals[start + length] - totals[start]
                seen.add(gram)
    found = [Ngram(gram, int(count), int(among), score) for gram, (count, among, score) in sums.items()]
    return sorted(found, key=lambda gram: (-gram.score, gram.units))


def words(pieces: Sequence[str], values: Sequence[float]) -> list[tuple[str, float]]:
    """The words of a text given as pieces: each with the sum of the values of its letters' pieces, a piece counting for the
    word in which its first letter stands. Small letters, without signs at their ends; what is signs alone is no word.

    pieces, values: in step."""
    found: list[tuple[str, float]] = []
    name, total, waiting = "", 0.0, 0.0
    for piece, value in zip(pieces, values, strict=True):
        waiting += float(value)  # of an empty piece: part of a letter that a later one holds
        for letter in piece:
            if letter.isspace():
                found.append((name, total))
                name, total = "", 0.0
            else:
                name, total, waiting = name + letter, total + waiting, 0.0
        if piece:
            waiting = 0.0
    found.append((name, total))
    bare = ((_bare(word), value) for word, value in found)
    return [(word, value) for word, value in bare if word]


def _bare(word: str) -> str:
    start, end = 0, len(word)
    while start < end and _is_sign(word[start]):
        start += 1
    while start < end and _is_sign(word[end - 1]):
        end -= 1
    return word[start:end].casefold()


def _is_sign(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "PSC"


def _running(values: Sequence[float]) -> list[float]:
    totals = [0.0]
    for value in values:
        totals.append(totals[-1] + float(value))
    return totals
