"""Two models that predict the same tokens: S, the starting model, and C, the comparison model.

Owns what makes them comparable. How they are loaded, mixed and steered is `opening.py`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.forward import Steering
from engine.models import LoadedModel


@dataclass(frozen=True)
class Member:
    """One of the two. steering: the same for all of its texts (arm 0), or none."""

    model: LoadedModel
    steering: Steering | None = None


@dataclass(frozen=True)
class Pair:
    """Both members may hold the very same LoadedModel (one load, two caches, prompts or steering that differ).

    vocabulary: how many token ids both know; logits beyond it are cut on either side. identity: stands for both in keys.
    """

    starting: Member
    comparison: Member
    vocabulary: int
    identity: str


@dataclass(frozen=True, slots=True)
class PairPrompt:
    """One prompt as tokens, for either member. The last `shared` tokens are the same in both; those before them are private
    (a persona, or what C is not shown). Numbers of the prompt's region are about shared tokens but the first."""

    starting: tuple[int, ...]
    comparison: tuple[int, ...]
    shared: int
