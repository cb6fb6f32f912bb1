"""Rules: scorers that need no judge. A pattern, the share of words out of a list, or a length. No torch, no network.

Owns what counts as a word: a run of letters and digits, with inner apostrophes and hyphens.
"""

from __future__ import annotations

import re
from functools import lru_cache

from engine.errors import EngineError
from engine.judges.rubric import Rubric
from engine.judges.verdict import Subject, Verdict

_WORD = re.compile(r"\w+(?:['’-]\w+)*")


def verdict(rubric: Rubric, subject: Subject) -> Verdict:
    """regex: `yes` (1) where the pattern is found in the answer, else `no` (0). lexicon: the share of the answer's words that
    belong to a listed word or phrase; `raw` has what was found. length: words or characters. An answer without words has no
    share of them: `failed`.
    """
    rule = rubric.rule
    if rule is None or len(subject.answers) != 1:
        raise EngineError(f"Rubric {rubric.id} is no rule for one answer; ask a judge with it.")
    answer = subject.answers[0]
    if rule.regex is not None:
        found = re.search(rule.regex, answer)
        return Verdict(float(found is not None), "yes" if found else "no", {"found": found[0] if found else None})
    if rule.length is not None:
        number = len(_WORD.findall(answer)) if rule.length == "words" else len(answer)
        return Verdict(float(number), "scored", {rule.length: number})
    words = len(_WORD.findall(answer))
    if not words:
        return Verdict(None, "failed", {"reason": "the answer has no words"})
    found = [match[0].lower() for match in _terms(rule.lexicon).finditer(answer)]
    share = sum(len(_WORD.findall(term)) for term in found) / words
    return Verdict(share, "scored", {"words": words, "found": found})


@lru_cache(maxsize=32)
def _terms(lexicon: tuple[str, ...]) -> re.Pattern[str]:
    """Longest first, and not inside another word."""
    terms = sorted(lexicon, key=lambda term: (-len(term), term))
    words = "|".join(r"\s+".join(map(re.escape, term.split())) for term in terms)
    return re.compile(rf"(?<!\w)(?<!\w['’-])(?:{words})(?!['’-]?\w)", re.IGNORECASE)
