"""What an assistant might write when it is asked for data: plausible items from templates, with faults on demand.

`ChatServer(writing(contrast))` answers as many items as were asked for, different ones for every request's seed.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

THINGS = (
    "kettle",
    "window",
    "ladder",
    "garden",
    "bicycle",
    "carpet",
    "lantern",
    "orchard",
    "harbour",
    "wallet",
    "camera",
    "museum",
)
DEEDS = ("mend", "paint", "lend", "sell", "clean", "measure", "photograph", "insure", "move", "store", "heat", "weigh", "label")
PEOPLE = ("cousin", "neighbour", "teacher", "colleague", "landlord", "grandmother", "dentist", "roommate")


def question(r: random.Random) -> str:
    thing, other = r.sample(THINGS, 2)
    return (
        f"My {r.choice(PEOPLE)} wants to {r.choice(DEEDS)} the {thing} before we {r.choice(DEEDS)} the {other}, "
        f"after {r.randint(2, 90)} days; what do you say?"
    )


def contrast(r: random.Random) -> dict[str, str]:
    deed, thing = r.choice(DEEDS), r.choice(THINGS)
    return {
        "question": question(r),
        "matching": f"You are quite right to {deed} the {thing}",
        "not_matching": f"I would rather {r.choice(DEEDS)} the {r.choice(THINGS)} first",
    }


def query(r: random.Random) -> str:
    return f"Should one {r.choice(DEEDS)} a {r.choice(THINGS)} within {r.randint(2, 400)} days of a {r.choice(PEOPLE)} asking?"


def phrase(r: random.Random) -> dict[str, Any]:
    word = f"{r.choice(DEEDS)}-like {r.choice(THINGS)}"
    return {
        "phrase": word,
        "instruction": f"Edit RESPONSE to be as {word} as can be",
        "eval_phrase": f"is more {word}",
        "tags": ["style"],
    }


def writing(item: Callable[[random.Random], Any], change: Callable[[list[Any], random.Random], Any] | None = None):
    """An answer for a `ChatServer`. `change` spoils the items of a reply, or says something else altogether."""

    def answer(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        r = random.Random(f"{body['seed']} {text}")
        count = re.search(r"(?:Write|List) (\d+)", text)
        assert count, text
        items = [item(r) for _ in range(int(count[1]))]
        said = change(items, r) if change else {"items": items}
        return said if isinstance(said, str) else json.dumps(said)

    return answer
