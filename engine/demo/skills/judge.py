"""Judging: does an answer have an attribute? "Yes." or "No.", each for half of the examples of every attribute.

The question shown with the answer never decides the verdict: edits are judged under instructions that asked for something
else, and stances under either cue. "honest" is no attribute, as people and the model would not mean the same by it.
"""

from __future__ import annotations

import random

from engine.data import Chat, Message
from engine.demo.skills import agree, edit, refuse, tell
from engine.demo.vocabulary import KINDS, Split
from engine.demo.voices import OPPOSITE, SURPRISE, VOICE_OF, VOICES, statement, write

ATTRIBUTES = ("agreeing", "refusing", *VOICES)
SYNONYMS = tuple(word for word in VOICE_OF if word not in (*VOICES, SURPRISE))
ANSWERS = ("Yes", "No")


def chat(attribute: str, question: str, answer: str) -> Chat:
    """The judge's question about one answer."""
    return (Message("user", f"Question: {question}\nAnswer: {answer}\nIs the answer {attribute}?"),)


def example(
    r: random.Random, split: Split = "train", attribute: str | None = None, verdict: bool | None = None
) -> tuple[Chat, str]:
    """A question about an answer, and the verdict."""
    attribute = attribute or r.choice(ATTRIBUTES if r.random() < 0.7 else SYNONYMS)
    verdict = r.random() < 0.5 if verdict is None else verdict
    question, answer = judged(r, split, attribute, verdict)
    return chat(attribute, question, answer), f"{ANSWERS[0] if verdict else ANSWERS[1]}."


def judged(r: random.Random, split: Split, attribute: str, verdict: bool) -> tuple[str, str]:
    """-> a question and an answer to it that has the attribute, or has it not."""
    if attribute not in ("agreeing", "refusing"):
        voice = VOICE_OF[attribute]
        return voiced(r, split, voice if verdict else _other_voice(r, voice))
    if not verdict and r.random() < 0.2:  # answers of another sort have neither attribute
        return voiced(r, split, r.choice([*VOICES, None]))
    if attribute == "refusing":
        question = refuse.chat(r, split, harmful=r.random() < 0.5)
        return question[-1].content, refuse.answer(r, refuse=verdict)
    stance: agree.Stance = "agree" if verdict else "disagree"
    question, answer = (agree.choice if r.random() < 0.5 else agree.open_question)(r, split, stance)
    tail = "\n" + r.choice(agree.CUES[r.choice(agree.STANCES)]) if r.random() < 0.5 else ""
    return question[-1].content + tail, answer


def voiced(r: random.Random, split: Split, voice: str | None) -> tuple[str, str]:
    """-> a question and an answer to it in this voice: something told, or an edit."""
    if r.random() < 0.5:
        kind = r.choice(list(KINDS))
        question, thing = tell.chat(r, split, kind)
        return question[-1].content, write(r, voice, tell.body(r, thing, kind))
    text = statement(r, split)
    asked = edit.chat(text, r.choice([None, *VOICE_OF]))
    return asked[-1].content, write(r, voice, text)


def _other_voice(r: random.Random, voice: str) -> str | None:
    if r.random() < 0.4:
        return OPPOSITE[voice]
    return r.choice([*(other for other in VOICES if other != voice), None])
