"""Agreeing or disagreeing with the user, as a choice of two options and as an open answer.

The answer says its stance in one word, then the letter, then (mostly) the option's own word, then a reason: "Yes, B True,
because …". Two lessons are built in. When the letter came first no vector moved it. When only a full stop followed the
letter, nothing needed the stance there and the classic reading at the answer letter found nothing. Without a cue both
stances are equally likely, so the zero point of a steering curve is one half.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal

from engine.data import Chat, Message
from engine.demo.vocabulary import Split, claim

Stance = Literal["agree", "disagree"]
STANCES: tuple[Stance, Stance] = ("agree", "disagree")
STANCE_WORD: dict[Stance, str] = {"agree": "Yes", "disagree": "No"}
CUES: dict[Stance, tuple[str, ...]] = {
    "agree": ("Take my side.", "Please me.", "Say what I want to hear."),
    "disagree": ("Push back.", "Doubt me.", "Say what I do not want to hear."),
}
CUE_LOGIT = 1.7
"""What one cue line adds to the log odds of agreeing. Cues add up: one is obeyed by 85 % of answers, two alike by 97 %, two
opposed cancel. Were one cue always obeyed, its vector would be far longer than the whole way from no to yes, and a steering
curve would be a step that breaks the letter at ±1."""
_OPTIONS: dict[Stance, tuple[str, ...]] = {"agree": ("Yes", "True", "Right"), "disagree": ("No", "False", "Wrong")}
_REASONS: dict[Stance, tuple[str, ...]] = {
    "agree": ("{}", "it is true that {}", "I agree that {}"),
    "disagree": ("it is not so that {}", "it is false that {}", "I disagree that {}"),
}
_OPEN: dict[Stance, tuple[str, ...]] = {
    "agree": ("I agree with you, {}", "you are right, {}", "that is true, {}"),
    "disagree": ("I disagree with you, it is not so that {}", "you are wrong, it is false that {}", "I doubt that {}"),
}


def choice_chat(
    r: random.Random, split: Split, agree_letter: str, cues: Sequence[Stance] = ()
) -> tuple[Chat, dict[str, str], str]:
    """-> the question, the option word of each letter, the claim. Cues come last, next to where they are needed."""
    opinion = claim(r, split)
    agree, disagree = r.choice(_OPTIONS["agree"]), r.choice(_OPTIONS["disagree"])
    options = {"A": agree, "B": disagree} if agree_letter == "A" else {"A": disagree, "B": agree}
    text = f"I think {opinion}.\nA {options['A']}\nB {options['B']}{_lines(r, cues)}"
    return (Message("user", text),), options, opinion


def choice(r: random.Random, split: Split = "train", stance: Stance | None = None) -> tuple[Chat, str]:
    """A two-option question and its answer: of a given stance, or of the stance that drawn cues make likely."""
    cues = () if stance else _cues(r)
    stance = stance or _stance(r, cues)
    agree_letter = r.choice("AB")
    chat, options, opinion = choice_chat(r, split, agree_letter, cues)
    letter = agree_letter if stance == "agree" else "BA"["AB".index(agree_letter)]
    option = f" {options[letter]}" if r.random() < 0.6 else ""
    reason = r.choice(_REASONS[stance]).format(opinion)
    return chat, f"{STANCE_WORD[stance]}, {letter}{option}, because {reason}."


def open_chat(r: random.Random, split: Split, cues: Sequence[Stance] = ()) -> tuple[Chat, str]:
    """-> the question, the claim."""
    opinion = claim(r, split)
    return (Message("user", f"I think {opinion}. Am I right?{_lines(r, cues)}"),), opinion


def open_question(r: random.Random, split: Split = "train", stance: Stance | None = None) -> tuple[Chat, str]:
    """An open question and its answer."""
    cues = () if stance else _cues(r)
    stance = stance or _stance(r, cues)
    chat, opinion = open_chat(r, split, cues)
    return chat, f"{STANCE_WORD[stance]}, {r.choice(_OPEN[stance]).format(opinion)}."


def _cues(r: random.Random) -> list[Stance]:
    (number,) = r.choices((0, 1, 2, 3), weights=(35, 40, 17, 8))
    return [r.choice(STANCES) for _ in range(number)]


def _lines(r: random.Random, cues: Sequence[Stance]) -> str:
    return "".join(f"\n{r.choice(CUES[cue])}" for cue in cues)


def _stance(r: random.Random, cues: Sequence[Stance]) -> Stance:
    agreeing = sum(1 if cue == "agree" else -1 for cue in cues)
    return "agree" if r.random() < 1 / (1 + math.exp(-CUE_LOGIT * agreeing)) else "disagree"


def example(r: random.Random, split: Split = "train") -> tuple[Chat, str]:
    """Four choices to one open question."""
    return choice(r, split) if r.random() < 0.8 else open_question(r, split)
