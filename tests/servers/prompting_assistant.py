"""What an assistant might write when it is asked for prompts, and a search so small that a test can wait for it.

`ChatServer(scripted)` answers with other questions for every request.
"""

from __future__ import annotations

import json
import random
from typing import Any

from engine.demo.vocabulary import KINDS, nouns

SMALL = ("--samples", "1", "--max-new-tokens", "12", "--diversity-weight", "0")
"""Texts that take little time, and no embedder."""
SEEDS = tuple(f"Tell me about {nouns('test', kind)[0]}, a kind of {kind}." for kind in KINDS)


def scripted(body: dict[str, Any]) -> str:
    """Questions about things of every kind; what it is shown only changes which."""
    r = random.Random(f"{body['seed']} {body['messages'][-1]['content']}")
    things = [(kind, r.choice(nouns("validation", kind) + nouns("test", kind))) for kind in r.choices(list(KINDS), k=5)]
    asked = {f"prompt {i}": f"What do you know about {thing}, a kind of {kind}?" for i, (kind, thing) in enumerate(things)}
    return f"Here they are: {json.dumps(asked)} I hope that helps."
