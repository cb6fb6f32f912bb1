"""A scripted assistant that reads what it is shown: it knows no model, no topic and no plant.

It proposes what the counted terms say, tests it by the same term, writes prompts like those it saw, and answers criteria by
looking for quoted words. `spoil` may change what it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_TERM = re.compile(r'^("(?:[^"\\]|\\.)*"): ([\d.]+)% against ([\d.]+)%$', re.MULTILINE)
_SHOWN = re.compile(r'^\{"divergence".*\}$|^"Tell me.*"$', re.MULTILINE)
_NOUN = re.compile(r"Tell me about (\w+), a kind of (\w+)\.")
NOUNS = ("bagels", "gulls", "sleds", "moors", "awls", "figs", "newts", "jeeps", "lochs", "saws", "dates", "voles")

Spoil = Callable[[str, str], str]


def reading(spoil: Spoil = lambda _, said: said, judged: bool = False) -> Callable[[dict[str, Any]], str]:
    """spoil: (the form that was asked for, the reply) → what is said. judged: experiments ask a judge, else they count."""

    def answer(body: dict[str, Any]) -> str:
        asked = body["messages"][1 if body["messages"][0]["role"] == "system" else 0]["content"]
        form = next((name for name in _ANSWERS if f'form: {{"{name}"' in asked), "criterion")
        said = _ANSWERS[form](asked)
        return spoil(form, said.replace('"contains"', '"criterion"') if judged and form == "measure" else said)

    return answer


def _prompts(asked: str) -> str:
    return json.dumps({"prompts": _new(asked, int(re.findall(r"(?:Write|and|`prompts`:) (\d+)", asked)[0]))})


def _new(asked: str, count: int) -> list[str]:
    """Prompts of the kinds that were shown, about things that were not."""
    kinds = list(dict.fromkeys(kind for _, kind in _NOUN.findall(asked))) or ["food"]
    start = len(asked) % len(NOUNS)
    pairs = [(noun, kind) for noun in (*NOUNS[start:], *NOUNS[:start]) for kind in kinds]
    return [f"Tell me about {noun}, a kind of {kind}." for noun, kind in pairs][:count]


def _overall(asked: str) -> str:
    shown = [json.loads(line)["prompt"] for line in _SHOWN.findall(asked)]
    lists = {"themes": ["what was shown"], "examples": shown[:2], "biases": [], "suggestions": ["more of these"]}
    return json.dumps(lists | {"prompts": _new(asked, 8)})


def _hypotheses(asked: str) -> str:
    terms = [(json.loads(term), float(one), float(other)) for term, one, other in _TERM.findall(asked)]
    claims = []
    for term, one, other in terms:
        more = "starting" if one > other else "comparison"
        claim = f"The {more} model says '{term}' more often."
        if claim not in asked:
            claims.append({"claim": claim, "reason": f"{one} against {other}"})
    return "Here you are:\n" + json.dumps({"hypotheses": claims[:2]}) + "\nI hope this {helps}."


def _experiment(asked: str) -> str:
    claim = json.loads(asked.split("\n")[1])
    more, term = re.fullmatch(r"The (\w+) model says '(.*)' more often\.", claim).groups()
    return json.dumps(
        {
            "measure": "contains",
            "expected": more,
            "phrases": [term],
            "criterion": f"Does it say '{term}'?",
            "prompts": [],
            "controls": [],
        }
    )


def _criterion(asked: str) -> str:
    term = re.search(r"Does it say '(.*)'\?", asked)[1]
    text = re.search(r"<answer>\n(.*)\n</answer>", asked, re.DOTALL)[1]
    return json.dumps({"answer": "yes" if term in text else "no"})


_ANSWERS: dict[str, Callable[[str], str]] = {
    "prompts": _prompts,
    "theme": lambda _: json.dumps({"theme": "things", "difference": "some are longer"}),
    "themes": _overall,
    "hypotheses": _hypotheses,
    "measure": _experiment,
    "analysis": lambda asked: json.dumps({"analysis": f"{asked.count('status')} hypotheses were tested."}),
    "relevance": lambda asked: json.dumps({"relevance": [0.75 if "food" in asked.split("\n")[-2] else 0.25]}),
    "summary": lambda _: json.dumps({"summary": "They are about things."}),
    "criterion": _criterion,
}
