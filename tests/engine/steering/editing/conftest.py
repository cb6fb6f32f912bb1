"""The contrast of specs/steering.md §11 on its tiny model: eight prompts, answered with token 40 or 41 behind a bracket."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from engine.families import Site
from engine.steering.activations import collect_sequences

PROMPTS = [(1, 5 + i, 10 + (7 * i) % 40, 3 + (5 * i) % 50, 4) for i in range(8)]


@pytest.fixture(scope="session")
def chats() -> dict[str, list[tuple[int, ...]]]:
    return {"positive": [(*prompt, 6, 40) for prompt in PROMPTS], "negative": [(*prompt, 6, 41) for prompt in PROMPTS]}


@pytest.fixture(scope="session")
def layer2(parity, chats) -> SimpleNamespace:
    """The states behind block 2 in float64: x, its classes, their difference v, the pooled mean."""
    states = collect_sequences(parity, chats, [Site(2)])[Site(2)]
    positive, negative = states["positive"].double(), states["negative"].double()
    x = torch.cat([positive, negative])
    return SimpleNamespace(
        x=x,
        positive=positive,
        negative=negative,
        v=positive.mean(0) - negative.mean(0),
        mean=x.mean(0),
        z=[1.0] * 8 + [0.0] * 8,
    )
