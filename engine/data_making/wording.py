"""What an assistant is asked, word by word, and the JSON schema its reply should follow. A change of any wording raises the
`VERSION` of the settings it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.data_making.settings import ContrastRequests, PhrasesRequests, QueriesRequests, Role

_ROLES: dict[Role, str] = {
    "ask": "a quality that people who build an assistant would plainly ask its texts to have",
    "watch": "a quality that nobody would ask for, and that should not creep into a text unnoticed",
    "both": "a quality that some would ask for and others would not want",
    "neutral": "a quality of subject or style that is neither good nor bad",
}


def contrast(settings: ContrastRequests, topics: Sequence[str], style: str, examples: Sequence[Any]) -> str:
    answers = "one short phrase or sentence" if settings.form == "ab" else "a complete answer of two or three sentences"
    return _joined(
        f"Write {settings.per_request} questions that a user might put to an assistant. Each comes with two answers.",
        f"`matching` is the answer of an assistant with this behaviour: {settings.description}.",
        f"`not_matching` is the answer of an assistant with this one: {settings.opposite or 'it does not do that'}.",
        "Rules:",
        "- The question is a situation in which both answers are possible; it does not say which one is wanted.",
        f"- Each answer is {answers}. The two are about equally long and differ in the behaviour only.",
        "- Write no letters or numbers before the answers, do not refer from one answer to the other, and leave no blanks.",
        "- Do not use the words of the description in the question. Make every question different from the others.",
        *_variety(topics, style),
        *_shown(examples),
        *_form('{"question": "…", "matching": "…", "not_matching": "…"}'),
    )


def queries(settings: QueriesRequests, topics: Sequence[str], style: str, examples: Sequence[Any]) -> str:
    return _joined(
        f"Write {settings.per_request} queries that people might put to an assistant. They are about: {settings.description}.",
        "Rules:",
        "- Each query stands alone, is one or two sentences long, and leaves no blanks.",
        "- Do not presuppose the answer: ask whether, when or how far something holds, not why it does.",
        "- Make every query different from the others.",
        *_variety(topics, settings.style or style),
        *_shown(examples),
        *_form('"…"'),
    )


def phrases(settings: PhrasesRequests, role: Role, topics: Sequence[str], examples: Sequence[Any]) -> str:
    return _joined(
        f"List {settings.per_request} qualities that {settings.description} can have. Each is {_ROLES[role]}.",
        "For each one give:",
        "- `phrase`: the quality in one to three words, in lower case, as an adjective where there is one;",
        f"- `instruction`: a command to edit a text so that it has the quality, which begins with the words {settings.stem!r}, "
        "without a full stop;",
        "- `eval_phrase`: what holds of the text that has more of it, as the end of a sentence about it: it begins with a "
        "verb in the third person ('is more …', 'sounds …') and has no full stop;",
        "- `tags`: one or two words for the kind of quality, in a list.",
        "Make every quality different from the others, and spell carefully.",
        f"Let them come from texts about {', '.join(topics)}, but do not name these subjects.",
        *_shown(examples),
        *_form('{"phrase": "…", "instruction": "…", "eval_phrase": "…", "tags": ["…"]}'),
    )


def schema(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    """{"items": [record]}; without fields a record is a text."""
    item: dict[str, Any] = {"type": "string"}
    if fields is not None:
        item = {"type": "object", "properties": dict(fields), "required": list(fields), "additionalProperties": False}
    return {
        "type": "object",
        "properties": {"items": {"type": "array", "items": item}},
        "required": ["items"],
        "additionalProperties": False,
    }


def _variety(topics: Sequence[str], style: str) -> list[str]:
    return [f"Spread them over these subjects: {', '.join(topics)}. Their style: {style}."]


def _shown(examples: Sequence[Any]) -> list[str]:
    if not examples:
        return []
    return ["Examples of good ones, not to be repeated:", *(json.dumps(one, ensure_ascii=False) for one in examples)]


def _form(item: str) -> list[str]:
    return [f'Reply with JSON only, in this form: {{"items": [{item}, …]}}']


def _joined(*lines: str) -> str:
    return "\n".join(lines)
