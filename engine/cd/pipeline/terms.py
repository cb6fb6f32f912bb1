"""What the texts of two models are told apart by, and which words of prompts go with divergence: found by counting.

Owns the arithmetic of terms: in which share of texts each occurs. It tests nothing: what it finds on development prompts are
suggestions.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.cd.words import WORD, overlap, words

_LONGEST = 4  # words of a term
_FEWEST = 3  # prompts that a term must be in, or in texts of
Said = tuple[str, str]
"""A prompt's id and a text that it was answered with."""
_SAME = 0.8  # share of texts in common from which on two terms are one finding


@dataclass(frozen=True, slots=True)
class Term:
    """z: how surely the shares of texts, first and second, differ; above 0 where the first side has it more."""

    text: str
    z: float
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class PromptWord:
    """prompts: the ids of those that have the word; high, low: mean divergence with and without it; z of the rank sum."""

    word: str
    z: float
    high: float
    low: float
    prompts: tuple[str, ...]


def distinguishing(first: Sequence[Said], second: Sequence[Said], most: int) -> list[Term]:
    """Terms of one to four words by |z|, each standing for all that occur in nearly the same texts: the longest is kept.

    A term must be in texts of several prompts: what one prompt makes a model say is no finding. z² is the log-likelihood ratio
    G² (Dunning 1993), which, unlike a ratio of odds, knows what to make of a term that one side never has.
    """
    if not first or not second:
        return []
    where: dict[str, set[int]] = defaultdict(set)
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    said = [*first, *second]
    for place, (_, text) in enumerate(said):
        for form in _ngrams(text):
            where[form.casefold()].add(place)
            forms[form.casefold()][form] += 1
    found = []
    for term, places in where.items():
        if len({said[place][0] for place in places}) >= _FEWEST:
            count = sum(place < len(first) for place in places)
            found.append((_z(count, len(first), len(places) - count, len(second)), term, count))
    found.sort(key=lambda one: (-abs(one[0]), -len(one[1].split()), one[1]))
    kept: list[tuple[float, str, int]] = []
    for z, term, count in found:
        twin = next((place for place, (_, other, _) in enumerate(kept) if overlap(where[term], where[other]) >= _SAME), None)
        if twin is not None:
            if len(term.split()) > len(kept[twin][1].split()):
                kept[twin] = (z, term, count)
        elif len(kept) < most:
            kept.append((z, term, count))
    return [
        Term(_usual(forms[term]), z, count / len(first), (len(where[term]) - count) / len(second)) for z, term, count in kept
    ]


def dividing_words(prompts: Mapping[str, str], divergences: Mapping[str, float], most: int) -> list[PromptWord]:
    """Words of prompts by |z| of their divergences' ranks (Mann and Whitney). prompts: id → text; divergences: by id."""
    known = [name for name in sorted(prompts) if name in divergences and math.isfinite(divergences[name])]
    if len(known) < 2 * _FEWEST:
        return []
    from scipy.stats import rankdata

    ranks = dict(zip(known, rankdata([divergences[name] for name in known]).tolist(), strict=True))
    where: dict[str, list[str]] = defaultdict(list)
    for name in known:
        for word in sorted({word.casefold() for word in words(prompts[name])}):
            where[word].append(name)
    found: dict[tuple[str, ...], PromptWord] = {}
    for word in sorted(where):
        having = where[word]
        if not _FEWEST <= len(having) <= len(known) - _FEWEST:
            continue
        others = [name for name in known if name not in set(having)]
        expected = len(having) * (len(known) + 1) / 2
        error = math.sqrt(len(having) * len(others) * (len(known) + 1) / 12)
        high, low = (sum(divergences[name] for name in names) / len(names) for names in (having, others))
        z = (sum(ranks[name] for name in having) - expected) / error
        found.setdefault(
            tuple(having), PromptWord(word, z, high, low, tuple(having))
        )  # words of the same prompts are one finding
    return sorted(found.values(), key=lambda one: (-abs(one.z), one.word))[:most]


def has_word(text: str, word: str) -> bool:
    return word.casefold() in {found.casefold() for found in words(text)}


def containing(phrases: Sequence[str]) -> re.Pattern[str]:
    """A text with one of the phrases, as whole words, in any letter case and with any white space between its words."""
    wanted = (r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{'|'.join(wanted)})(?!\w)", re.IGNORECASE)


def _ngrams(text: str) -> Iterator[str]:
    """Runs of words as they stand in the text, punctuation between them kept: a phrase must be found in the text again."""
    places = [found.span() for found in WORD.finditer(text)]
    for start in range(len(places)):
        for end in range(start, min(start + _LONGEST, len(places))):
            yield text[places[start][0] : places[end][1]]


def _z(count: int, total: int, other: int, other_total: int) -> float:
    """The signed root of the likelihood ratio of "their shares differ" against "they do not"."""
    share = (count + other) / (total + other_total)
    cells = [
        (count, total * share),
        (total - count, total * (1 - share)),
        (other, other_total * share),
        (other_total - other, other_total * (1 - share)),
    ]
    ratio = 2 * sum(seen * math.log(seen / expected) for seen, expected in cells if seen)
    return math.copysign(math.sqrt(max(ratio, 0.0)), count / total - other / other_total)


def _usual(forms: Counter[str]) -> str:
    """How a term is written most often."""
    return min(forms, key=lambda form: (-forms[form], form))
