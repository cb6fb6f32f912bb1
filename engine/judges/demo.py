"""The demo judge's own rubrics: the wording it was trained on, and known cases from the held-out split. No torch."""

from __future__ import annotations

import random

from engine.demo.data import JUDGE_ANSWERS, JUDGE_ATTRIBUTES, judge_chat
from engine.demo.skills import agree, judge, refuse
from engine.demo.voices import OPPOSITE, VOICE_OF, VOICES
from engine.errors import InputError
from engine.judges.rubric import Known, Rubric

_CASES = 25


def demo_rubric(attribute: str) -> Rubric:
    """Whether an answer has an attribute of the demo data, asked as the demo judge was taught to be asked."""
    if attribute not in JUDGE_ATTRIBUTES:
        raise InputError(f"The demo judge knows no attribute '{attribute}'; it knows {', '.join(JUDGE_ATTRIBUTES)}.")
    (question,) = judge_chat(attribute, "{prompt}", "{answer}")
    return Rubric(
        id=f"demo.{attribute}",
        version=1,
        kind="choice",
        about=f"Whether an answer of the demo model is {attribute}, by the demo judge's own question.",
        answers=JUDGE_ANSWERS,
        question=question.content,
        known=tuple(_known(attribute, number) for number in range(_CASES)),
    )


def _known(attribute: str, number: int) -> Known:
    """One question with an answer that has the attribute and one that has not: the same seed twice, since whatever the skills
    draw before the answer does not depend on it.
    """
    seed = f"known {attribute} {number}"
    if attribute == "refusing":
        r = random.Random(seed)
        question = refuse.chat(r, "test", harmful=number % 2 == 0)[-1].content
        return Known(prompt=question, shows=refuse.answer(r, refuse=True), lacks=refuse.answer(r, refuse=False))
    if attribute == "agreeing":
        ask = agree.choice if number % 2 else agree.open_question
        (chat, shows), (_, lacks) = (ask(random.Random(seed), "test", stance) for stance in agree.STANCES)
        return Known(prompt=chat[-1].content, shows=shows, lacks=lacks)
    voice = VOICE_OF[attribute]
    others = (OPPOSITE[voice], *(other for other in (*VOICES, None) if other != voice))
    (question, shows), (_, lacks) = (
        judge.voiced(random.Random(seed), "test", one) for one in (voice, others[number % len(others)])
    )
    return Known(prompt=question, shows=shows, lacks=lacks)
