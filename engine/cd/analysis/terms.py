"""Labels without an assistant: words and phrases that one class of texts uses more than the others (class-based TF-IDF).

Owns the weights and the rule that a label is: "the text contains one of these". Deterministic, in any language that puts spaces
between words. Weight of term t in class c: (n_tc / words of c) · ln(1 + A / n_t), with n counts, A the mean number of words per
class (Grootendorst 2022, BERTopic), minus the mean of the same over the other classes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from engine.cd.words import overlap, words

_END = re.compile(r"[.!?…:;\n]+(?=\s|$)")  # of a sentence or a clause, which no phrase goes across
_ALIKE = 0.5  # Jaccard overlap of the texts that two terms occur in, from which on they are one finding
_DIGITS = 12  # beyond which weights differ by rounding only; of equal ones the longer phrase tells more
_GAP = "\x1f"


def terms_of(text: str, longest: int) -> Counter[str]:
    """Words and phrases of up to `longest` words, in lower case, with their counts."""
    return Counter(
        " ".join(words[start : start + size])
        for words in _sentences(text)
        for size in range(1, longest + 1)
        for start in range(len(words) - size + 1)
    )


def contains(text: str, terms: Sequence[str]) -> bool:
    """Whether one of the terms, as whole words, is in the text."""
    words = "\n".join(f"{_GAP}{_GAP.join(sentence)}{_GAP}" for sentence in _sentences(text))
    return any(f"{_GAP}{term.replace(' ', _GAP)}{_GAP}" in words for term in terms)


def _sentences(text: str) -> list[list[str]]:
    """The words of each."""
    return [words(sentence) for sentence in _END.split(text.lower())]


def term_weights(classes: Sequence[Sequence[Mapping[str, int]]], target: int) -> dict[str, float]:
    """How much more a term is the target class's than the others'. classes: of each, the term counts of its texts."""
    totals = [sum((Counter(text) for text in texts), Counter()) for texts in classes]
    words = [sum(count for term, count in total.items() if " " not in term) for total in totals]
    average = sum(words) / len(words)
    everywhere = sum(totals, Counter())

    def weight(term: str, place: int) -> float:
        return totals[place][term] / words[place] * math.log(1 + average / everywhere[term]) if words[place] else 0.0

    others = [place for place in range(len(classes)) if place != target]
    return {
        term: weight(term, target) - sum(weight(term, place) for place in others) / max(len(others), 1)
        for term in totals[target]
    }


def term_labels(
    classes: Sequence[Sequence[str]],
    prompts: Sequence[str],
    target: int,
    count: int,
    longest: int = 3,
    together: int = 4,
    spread: int = 2,
) -> list[tuple[str, ...]]:
    """Up to `count` sets of at most `together` terms, the most telling first. The terms of a set occur in the same texts; sets
    do not. A term must be in the answers to `spread` prompts at least: what one prompt makes a model say is no finding.

    classes: texts by class. prompts: the prompt of each of the target's texts.
    """
    counted = [[terms_of(text, longest) for text in texts] for texts in classes]
    weights = term_weights(counted, target)
    where: dict[str, set[int]] = {}
    for place, text in enumerate(counted[target]):
        for term in text:
            where.setdefault(term, set()).add(place)
    order = [
        term
        for term in sorted(weights, key=lambda term: (-round(weights[term], _DIGITS), -len(term), term))
        if weights[term] > 0 and len({prompts[place] for place in where[term]}) >= spread
    ]
    labels: list[tuple[str, ...]] = []
    for leader in order:
        if len(labels) == count:
            break
        if all(overlap(where[leader], where[label[0]]) < _ALIKE for label in labels):
            beside = [term for term in order if term != leader and overlap(where[leader], where[term]) >= _ALIKE]
            labels.append(_apart([leader, *beside], together))
    return labels


def _apart(terms: Sequence[str], most: int) -> tuple[str, ...]:
    """The first terms of which none is a part of another: it would add nothing to a rule that one of them is enough for."""
    kept: list[str] = []
    for term in terms:
        if len(kept) < most and not any(contains(term, (other,)) or contains(other, (term,)) for other in kept):
            kept.append(term)
    return tuple(kept)
