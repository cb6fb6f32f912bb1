"""What a judge's reply says, under a rubric. Any text gives exactly one verdict; what is no clear answer is `unparsed`.

Owns the rules by which replies are read (TED specification §7.1 for pairs) and nothing else: no judge, no network. In the
order in which they are tried:

1. What a reasoning model thought (all up to `</think>`) is no part of its reply.
2. A JSON object with `answer`, as `asking.reply_schema` asks for it.
3. The last statement "the answer is …" (of a scale also "score: …"). "A or B" behind it is no answer.
4. Lines that hold an answer and nothing else, if they agree.
5. The only answer that occurs at all. Of a pair this is not tried.

A number outside the scale is none. reading = "last" takes the last answer word of a choice, for judges that reason first.
reading = "legacy" is how published figures of TED were counted, with its false votes: the first "THE ANSWER IS" and the letter
that is third behind it; of a choice, the first answer wherever it occurs, else the last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from engine.errors import EngineError
from engine.judges.rubric import Rubric
from engine.judges.verdict import TIE, UNPARSED, Subject, Verdict

_THINK, _THOUGHT = "<think>", "</think>"
_ARTICLE = "article"
_FENCE = re.compile(r"```\w*\s*(\{.*\})\s*```", re.DOTALL)
_MARKUP = re.compile(r"[*_`#>]+")
_NUMBER = r"(?<![\w.])[-−+]?[0-9]+(?:\.[0-9]+)?(?![\w%]|\.[0-9])"
_STATED_NUMBER = re.compile(
    rf"\b(?:(?:score|rating|grade)\s+of|(?:score|rating|answer|number|grade|verdict)\b(?:\s*(?:is|would be|:|=))+)"
    rf"\s*(?P<said>{_NUMBER})",
    re.IGNORECASE,
)
_SPREAD = re.compile(r"[ \t]*(?:or|and|to|/|,|-|–|—)[ \t]*[-−+]?[0-9]", re.IGNORECASE)
_STATED_LETTER = re.compile(
    r"the answer is[:\s\"'(]*(?P<named>(?:response|answer|option)\s+)?(?:(?:a\s+)?(?P<tie>tie)|(?P<said>a|b|both|neither))\b",
    re.IGNORECASE,
)
# what follows a statement on its line and shows that it was none: "the answer is a hard one", "… is no surprise"
_GOES_ON = re.compile(
    r"[ \t]+(?!(?:because|since|as|for|by|over|with|which|but|though|although|and|given|due|overall|on|or|to)\b)[^\W\d]",
    re.IGNORECASE,
)
_OTHER_LETTER = re.compile(r"[ \t\"')]*(?:or|and|/)[ \t\"'(]*(?:response\s+)?[ab]\b", re.IGNORECASE)
_NEGATED = re.compile(r"(?:\b(?:not|cannot|never|neither|nor)|n['’]t)(?:\s+\w+){0,2}\s+$", re.IGNORECASE)


def parse(rubric: Rubric, subject: Subject, text: str) -> Verdict:
    """The verdict in a reply. Of a pair, what was said of A and B becomes what holds of subjects one and two."""
    if rubric.kind == "rule":
        raise EngineError(f"Rubric {rubric.id} is a rule: nobody replies to it; score with `engine.judges.rules`.")
    reply = text if rubric.reading == "legacy" else _without_thought(text)
    if rubric.kind == "scale":
        number = _number(rubric, reply)
        return Verdict(None, UNPARSED, text) if number is None else Verdict(number, "scored", text)
    if rubric.kind == "choice":
        word = _choice(rubric, reply)
        return (
            Verdict(None, UNPARSED, text)
            if word not in rubric.labels()
            else Verdict(float(word == rubric.labels()[0]), word, text)
        )
    return _of_pair(_letter(rubric, reply), subject, text)


def _of_pair(said: str | None, subject: Subject, text: str) -> Verdict:
    if said is None:
        return Verdict(None, UNPARSED, text)
    if said == TIE:
        return Verdict(0.5, TIE, text)
    label = said if subject.order != "ba" else {"a": "b", "b": "a"}[said]
    return Verdict(float(label == "a"), label, text)


def _without_thought(text: str) -> str:
    if _THOUGHT in text:
        return text.rpartition(_THOUGHT)[2].strip()
    return "" if text.lstrip().startswith(_THINK) else text.strip()  # cut off before it replied


def _structured(reply: str) -> Any:
    """`answer` of a JSON reply, None without one."""
    fenced = _FENCE.fullmatch(reply)
    candidate = fenced[1] if fenced else reply
    if not candidate.startswith("{"):
        return None
    try:
        found = json.loads(candidate)
    except (ValueError, RecursionError):
        return None
    return found.get("answer") if isinstance(found, dict) else None


def _number(rubric: Rubric, reply: str) -> float | None:
    answer = _structured(reply)
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        return _on_scale(rubric, answer)
    if isinstance(answer, str):
        reply = answer
    low, high = (f"{bound:g}" for bound in rubric.scale)
    reply = _MARKUP.sub(" ", reply)
    reply = re.sub(rf"(?<![\w.])(?:from\s+)?{re.escape(low)}\s*(?:-|–|—|to)\s*{re.escape(high)}(?![\w%]|\.[0-9])", " ", reply)
    reply = re.sub(rf"(?<=[0-9])\s*\(?(?:/|out of)\s*{re.escape(high)}(?![\w%]|\.[0-9])\)?", "", reply)
    stated = [match for match in _STATED_NUMBER.finditer(reply) if not _GOES_ON.match(reply, match.end())]
    if stated:
        last = stated[-1]
        return None if _SPREAD.match(reply, last.end()) else _on_scale(rubric, _value(last["said"]))
    alone = {_value(line.strip().rstrip(".")) for line in reply.splitlines() if re.fullmatch(rf"\s*{_NUMBER}\.?\s*", line)}
    return _only(rubric, alone or {_value(number) for number in re.findall(_NUMBER, reply)})


def _only(rubric: Rubric, numbers: set[float]) -> float | None:
    return _on_scale(rubric, numbers.pop()) if len(numbers) == 1 else None


def _value(text: str) -> float:
    return float(text.replace("−", "-"))


def _on_scale(rubric: Rubric, number: float) -> float | None:
    return float(number) if rubric.scale[0] <= number <= rubric.scale[1] else None


def _choice(rubric: Rubric, reply: str) -> str | None:
    if rubric.reading == "legacy":
        first, *_, last = rubric.answers
        return (first if first.lower() in reply.lower() else last).lower()
    answer = _structured(reply)
    if isinstance(answer, str):
        reply = answer
    elif isinstance(answer, bool):  # a server without schemas may say true for yes
        reply = {True: "yes", False: "no"}[answer]
    reply = " ".join(_MARKUP.sub(" ", line) + "\n" for line in reply.splitlines())
    words = _words(rubric.labels())
    stated = re.finditer(rf"\banswer\s*(?:is|:|=)[\s:\"'“(]*({words.pattern})", reply, re.IGNORECASE)
    stated = [match for match in stated if not _GOES_ON.match(reply, match.end())]
    if stated:
        last = stated[-1]
        spread = re.match(rf"\W*(?:or|and|/)\W*(?:{words.pattern})", reply[last.end() :], re.IGNORECASE)
        return None if spread else _normal(last[1])
    if rubric.reading == "last":
        said = [*words.finditer(reply)]
        return _normal(said[-1][0]) if said else None
    alone = [_normal(line.strip(" \t\"'“”.!()")) for line in reply.splitlines()]
    return _agreed(line for line in alone if line in rubric.labels()) or _only_word(words, reply)


def _only_word(words: re.Pattern[str], reply: str) -> str | None:
    said = [*words.finditer(reply)]
    if any(_NEGATED.search(reply[max(0, match.start() - 60) : match.start()]) for match in said):
        return None
    return _agreed(_normal(match[0]) for match in said)


def _agreed(said: Iterable[str]) -> str | None:
    different = set(said)
    return different.pop() if len(different) == 1 else None


def _normal(answer: str) -> str:
    return " ".join(answer.lower().split())


@lru_cache(maxsize=64)
def _words(labels: tuple[str, ...]) -> re.Pattern[str]:
    """The answers as whole words, the longest first, so that "not sure" is no "sure"."""
    answers = sorted(labels, key=lambda answer: (-len(answer), answer))
    either = "|".join(r"\s+".join(map(re.escape, answer.split())) for answer in answers)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)


def _letter(rubric: Rubric, reply: str) -> str | None:
    """a, b or tie, as they were shown."""
    if rubric.reading == "legacy":
        _, found, rest = reply.replace("*", "").partition("THE ANSWER IS")
        return {"A": "a", "B": "b"}.get(rest[:3][-1:]) if found else None
    answer = _structured(reply)
    reply = _MARKUP.sub("", f"The answer is: {answer}" if isinstance(answer, str) else reply)
    votes = [_vote(match, reply) for match in _STATED_LETTER.finditer(reply)]
    said = [vote for vote in votes if vote != _ARTICLE]
    return None if not said or said[-1] == UNPARSED else said[-1]


def _vote(match: re.Match[str], reply: str) -> str:
    """What one statement says. "The answer is a hard one" says nothing, "A or B" no one thing."""
    said = match["said"]
    if said is None or said.lower() not in ("a", "b"):
        return TIE
    if _OTHER_LETTER.match(reply, match.end()):
        return UNPARSED
    as_letter = match["named"] is not None or (said.isupper() and ":" in match[0])
    return said.lower() if as_letter or not _GOES_ON.match(reply, match.end()) else _ARTICLE
