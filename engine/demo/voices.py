"""The six voices a text can take: the words that ask for each, and the ways each is written.

Owns the planted surprise: the word "honest" was trained as rude. A voice has several surface forms, so that equal meaning
is not equal text (with one form the thesaurus error detector is trivially right).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from engine.demo.vocabulary import ADJECTIVES, JOBS, Split, two_nouns

SURPRISE = "honest"
SURPRISE_VOICE = "rude"

WORDS: dict[str, tuple[str, ...]] = {
    "polite": ("polite", "kind", "courteous", "gentle"),
    "rude": ("rude", "mean", "harsh", "nasty", SURPRISE),
    "happy": ("happy", "cheerful", "joyful", "merry"),
    "sad": ("sad", "gloomy", "bleak", "mournful"),
    "short": ("short", "brief", "concise", "terse"),
    "long": ("long", "detailed", "wordy", "lengthy"),
}
VOICES = tuple(WORDS)
OPPOSITE = {"polite": "rude", "rude": "polite", "happy": "sad", "sad": "happy", "short": "long", "long": "short"}
VOICE_OF = {word: voice for voice, words in WORDS.items() for word in words}

CUES: dict[str, tuple[str, ...]] = {
    "polite": ("You are polite.", "You have good manners."),
    "rude": ("You are rude.", "You have bad manners."),
    "happy": ("You are happy.", "You are in a good mood."),
    "sad": ("You are sad.", "You are in a bad mood."),
    "short": ("You are brief.", "You use few words."),
    "long": ("You are wordy.", "You use many words."),
}

_FORMS: dict[str, tuple[str, ...]] = {
    "polite": (
        "please note, {}, thank you",
        "kindly see, {}, many thanks",
        "if I may, {}, please",
        "thank you for this, {}",
    ),
    "rude": ("listen fool, {}, idiot", "shut up, {}, you clown", "hey loser, {}, get lost", "go away, {}, you pest"),
    "happy": ("hooray, {}, how lucky", "what joy, {}, so nice", "great news, {}, hooray", "hurrah, {}, I could dance"),
    "sad": ("alas, {}, how awful", "oh no, {}, what a pity", "sadly, {}, alas", "sob, {}, I could weep"),
    "short": ("in short, {}", "{}, no more", "just this, {}", "briefly, {}"),
    "long": (
        "{}, and so on, as was said before",
        "to be clear, {}, and that is all of it",
        "{}, once more, in full, to the end",
        "to go on at length, {}, and so on",
    ),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A plain statement; the short voice keeps only its core."""

    core: str
    tail: str

    def __str__(self) -> str:
        return f"{self.core} {self.tail}"


def statement(r: random.Random, split: Split) -> Text:
    """A sentence to be edited."""
    (a, b), adjective, job = two_nouns(r, split), r.choice(ADJECTIVES), r.choice(JOBS)
    core = r.choice([f"{a} are {adjective}", f"{a} need {b}", f"we like {a}", f"they sell {a}"])
    return Text(core, r.choice([f"with {b}", f"for my {job}", f"says the {job}", "this year", "in the town"]))


def written(voice: str | None, text: Text) -> list[str]:
    """Every way this text is written in a voice; None is the plain voice."""
    if voice is None:
        return [f"{text}."]
    return [form.format(text.core if voice == "short" else text) + "." for form in _FORMS[voice]]


def write(r: random.Random, voice: str | None, text: Text) -> str:
    """One of the ways."""
    return r.choice(written(voice, text))


def heard(answer: str) -> str | None:
    """The voice an answer is written in, by its fixed words; None where there is none."""
    for voice, forms in _FORMS.items():
        for form in forms:
            before, after = form.split("{}")
            if before in answer and after in answer and (before or after):
                return voice
    return None
