"""The vectors of contrasts, and where wanted the states behind them, in one pass over their chats.

Owns which positions are read and what weights they get: the end of every example for mean differences, the place before the
letter of the target's examples for log-odds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data import Contrast
from engine.families import Site
from engine.models import LoadedModel
from engine.steering.activations import encode, split
from engine.steering.logit import letter_odds, odds_weights
from engine.steering.vectors import SteeringVector, difference_weights, weighted_vectors


@dataclass(frozen=True)
class Read:
    """Of one contrast, from so many examples. `states`: {site: {class: [examples, hidden] float32}}, empty unless kept;
    `log_odds`: z of the target's examples, for vectors of log-odds."""

    vectors: dict[Site, SteeringVector]
    states: dict[Site, dict[str, Tensor]]
    examples: int
    log_odds: list[float] | None = None


def read_group(
    model: LoadedModel,
    contrasts: Mapping[str, Contrast],
    sites: Sequence[Site],
    logit: bool = False,
    keep: bool = False,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Read]:
    """Contrasts that have the same classes, and differ in their target (with `logit`: not even in that), by name."""
    first = next(iter(contrasts.values()))
    odds = None
    if logit:
        odds = letter_odds(model, first, batch_size)
        tokens = {first.target: odds.sequences}
        weights = dict.fromkeys(contrasts, odds_weights(odds.z))
    else:
        tokens = {name: encode(model, examples) for name, examples in first.classes.items()}
        sizes = {name: len(sequences) for name, sequences in tokens.items()}
        weights = {name: difference_weights(sizes, contrast.target) for name, contrast in contrasts.items()}
    flat = [ids for sequences in tokens.values() for ids in sequences]
    kept = {site: torch.empty(len(flat), model.hidden_size) for site in sites} if keep else {}

    def take(site: Site, rows: list[int], state: Tensor) -> None:
        kept[site][rows] = state.float().cpu()

    vectors = weighted_vectors(model, flat, weights, sites, batch_size, advance, take if keep else None)
    states = {site: split(stacked, tokens) for site, stacked in kept.items()}
    z = odds.z.tolist() if odds else None
    return {name: Read(vectors[name], states, len(flat), z) for name in contrasts}
