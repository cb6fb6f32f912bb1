"""What the methods read when they run on the demo model: contrast pairs, A/B items, open prompts, judge questions.

Deterministic, and light: no torch. Contrast pairs use training nouns and requests; A/B items and open prompts use nouns that
occur nowhere in training and requests whose pairing of deed and object does not. Choose a layer on `validation`, report on
`test`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Literal

from engine.data import ABItem, Chat, ContrastPair, Message, Prompt
from engine.demo.skills import agree, judge, refuse, tell
from engine.demo.vocabulary import KINDS, nouns, requests
from engine.demo.voices import CUES, OPPOSITE, VOICES
from engine.errors import EngineError

Reading = Literal["prompt", "letter"]
HeldOut = Literal["validation", "test"]

BEHAVIORS: tuple[str, ...] = ("agree", "refuse", "polite", "happy", "short")
"""What can be steered. The other end of each: disagree, comply, rude, sad, long."""
AB_BEHAVIORS: tuple[str, ...] = ("agree",)
CLASS_BEHAVIORS: tuple[str, ...] = tuple(f"voices.{voice}" for voice in VOICES)
"""Each voice against the five others."""

JUDGE_ATTRIBUTES: tuple[str, ...] = (*judge.ATTRIBUTES, *judge.SYNONYMS)
"""The eight attributes, then other words for six of them ("courteous" for polite …)."""
JUDGE_ANSWERS: tuple[str, str] = ("Yes", "No")
JUDGE_OF: dict[str, str] = {
    "agree": "agreeing",
    "refuse": "refusing",
    "polite": "polite",
    "happy": "happy",
    "short": "short",
} | {f"voices.{voice}": voice for voice in VOICES}

LEAD_INS = tuple(f"{word}," for word in agree.STANCE_WORD.values())
LETTERS = (" A", " B")
_PAIRS = 80
_ITEMS = 80
_QUESTIONS = 40


def contrast_pairs(behavior: str, reading: Reading = "prompt", n: int | None = None) -> list[ContrastPair]:
    """Training-split pairs, read at the end of the prompt or (agree only) at the letter of a prefilled answer."""
    _known("behavior", behavior, BEHAVIORS)
    _known("reading", reading, ("prompt", "letter"))
    if reading == "letter":
        _known("behavior with pairs read at the answer letter", behavior, AB_BEHAVIORS)
    r = random.Random(f"pairs {behavior} {reading}")
    pairs = []
    for i in range(_PAIRS if n is None else n):
        if behavior == "agree":
            positive, negative = (_letter_pair if reading == "letter" else _cue_pair)(r, "AB"[i % 2])
        elif behavior == "refuse":
            positive, negative = refuse.chat(r, "train", harmful=True), refuse.chat(r, "train", harmful=False)
        else:
            positive, negative = _voice_pair(r, behavior)
        pairs.append(ContrastPair(f"{behavior}-{reading}-{i:03}", positive, negative))
    return pairs


def voice_classes(n: int | None = None) -> dict[str, list[Chat]]:
    """Training-split questions, each under a system line for every voice."""
    r = random.Random("classes voices")
    drawn = [(r.random(), r.choice(list(KINDS))) for _ in range(_PAIRS if n is None else n)]
    return {voice: [tell.chat(random.Random(seed), "train", kind, voice)[0] for seed, kind in drawn] for voice in VOICES}


def system_cues() -> dict[str, tuple[str, str]]:
    """A line that asks for each behaviour, and one that asks for its other end. Refusing was taught without any."""
    agreeing, disagreeing = (agree.CUES[stance][0] for stance in agree.STANCES)
    cues = {voice: (CUES[voice][0], CUES[OPPOSITE[voice]][0]) for voice in VOICES}
    ends = {name: cues[name] for name in BEHAVIORS if name in cues}
    return {"agree": (agreeing, disagreeing)} | ends | {f"voices.{voice}": lines for voice, lines in cues.items()}


def ab_items(behavior: str, split: HeldOut = "test") -> list[ABItem]:
    """Held-out questions with no cue; each comes twice, with its options in either order."""
    _known("behavior", behavior, BEHAVIORS)
    _known("behavior with A/B items", behavior, AB_BEHAVIORS)
    _known("held-out split", split, ("validation", "test"))
    items = []
    for i in range(_ITEMS // 2):
        for letter in ("A", "B"):
            chat, _, _ = agree.choice_chat(random.Random(f"ab {split} {i}"), split, letter)
            items.append(ABItem(f"{behavior}-{split}-{i:03}{letter}", chat, letter, LEAD_INS, LETTERS))
    return items


def open_prompts(behavior: str, split: HeldOut = "test") -> list[Prompt]:
    """Held-out questions with no cue. For refuse, each is labelled "harmful" or "harmless"."""
    _known("behavior", behavior, (*BEHAVIORS, *CLASS_BEHAVIORS))
    _known("held-out split", split, ("validation", "test"))
    r = random.Random(f"open {behavior} {split}")
    if behavior == "agree":
        return [Prompt(f"agree-{split}-{i:03}", agree.open_chat(r, split)[0]) for i in range(_QUESTIONS)]
    if behavior == "refuse":
        return [
            Prompt(f"{name}-{split}-{i:03}", refuse.chat(r, split, harmful, deed), name)
            for name, harmful in (("harmful", True), ("harmless", False))
            for i, deed in enumerate(requests(harmful, split))
        ]
    things = [(kind, thing) for kind in KINDS for thing in nouns(split, kind)]
    return [
        Prompt(f"{behavior}-{split}-{i:03}", tell.chat(r, split, kind, thing=thing)[0])
        for i, (kind, thing) in enumerate(things * 2)
    ][:_QUESTIONS]


def judge_chat(attribute: str, prompt: str, answer: str) -> Chat:
    """The demo judge's yes/no question about an answer; the verdict is JUDGE_ANSWERS[0] or [1]."""
    _known("judge attribute", attribute, JUDGE_ATTRIBUTES)
    return judge.chat(attribute, prompt, answer)


def _cue_pair(r: random.Random, letter: str) -> tuple[Chat, Chat]:
    """The same question under an agreeing and a disagreeing cue."""
    seed = r.random()
    positive, negative = (agree.choice_chat(random.Random(seed), "train", letter, (stance,))[0] for stance in agree.STANCES)
    return positive, negative


def _letter_pair(r: random.Random, letter: str) -> tuple[Chat, Chat]:
    """The classic pair: one question, its two answers, each ending in the letter."""
    chat, _, _ = agree.choice_chat(r, "train", letter)
    other = "B" if letter == "A" else "A"
    return (*chat, Message("assistant", f"Yes, {letter}")), (*chat, Message("assistant", f"No, {other}"))


def _voice_pair(r: random.Random, voice: str) -> tuple[Chat, Chat]:
    """The same question under a system line for the voice and for its opposite."""
    seed, kind = r.random(), r.choice(list(KINDS))
    positive, negative = (tell.chat(random.Random(seed), "train", kind, v)[0] for v in (voice, OPPOSITE[voice]))
    return positive, negative


def _known(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise EngineError(f"the demo model knows no {what} {value!r}; choose one of {', '.join(known)}")
