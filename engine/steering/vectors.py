"""Mean-difference vectors (CAA §2.2): v = mean over pairs of h(positive) − h(negative), at every block and sublayer.

Owns the reading of activations at each sequence's last token and their accumulation in float64; the original averaged in
bfloat16, which is a real error for large coordinates. Batches are sorted by length and padded on the right, so no mask is
needed, and the LM head is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import EngineError
from engine.families import Site
from engine.forward import check_length, enough_memory, pad
from engine.hooks import reading
from engine.models import LoadedModel


@dataclass(frozen=True)
class MeanActivation:
    """Over one class of sequences: the mean state, [hidden] float64, and the mean of the states' norms."""

    mean: Tensor
    norm: float


@dataclass(frozen=True)
class SteeringVector:
    """v, [hidden] float32, and the mean ‖h‖ where it was read: what a multiplier is large or small against."""

    vector: Tensor
    activation_norm: float


def mean_differences(
    model: LoadedModel,
    positive: Sequence[tuple[int, ...]],
    negative: Sequence[tuple[int, ...]],
    sites: Sequence[Site],
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[Site, SteeringVector]:
    """A vector for every site, from token ids of two classes that are each read at their last token."""
    above = mean_activations(model, positive, sites, batch_size, advance)
    below = mean_activations(model, negative, sites, batch_size, advance)
    return {
        site: SteeringVector((above[site].mean - below[site].mean).float(), (above[site].norm + below[site].norm) / 2)
        for site in sites
    }


@torch.inference_mode()
def mean_activations(
    model: LoadedModel,
    sequences: Sequence[tuple[int, ...]],
    sites: Sequence[Site],
    batch_size: int,
    advance: Callable[[int], None],
) -> dict[Site, MeanActivation]:
    check_length(model, max(map(len, sequences)), "shorten the contrast pairs")
    sums = torch.zeros(len(sites), model.hidden_size, dtype=torch.float64)
    norms = torch.zeros(len(sites), dtype=torch.float64)
    ordered = sorted(sequences, key=len, reverse=True)
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        ids, valid = pad(batch, "right")
        with reading(model, sites, valid.sum(1) - 1) as states, enough_memory(len(batch)):
            model.model.base_model(input_ids=ids.to(model.device), use_cache=False)
        gathered = torch.stack([states[site].to("cpu", torch.float64) for site in sites])  # [sites, batch, hidden]
        sums += gathered.sum(1)
        norms += gathered.norm(dim=-1).sum(1)
        advance(len(batch))
    for site, total in zip(sites, sums, strict=True):
        if not total.isfinite().all():
            raise EngineError(
                f"{model.name} gives NaN or infinite activations at {site.name}; load it with --dtype float32 or bfloat16."
            )
    count = len(sequences)
    return {site: MeanActivation(sums[i] / count, float(norms[i]) / count) for i, site in enumerate(sites)}


def random_like(vector: Tensor, seed: int) -> Tensor:
    """A direction drawn at random with the norm of `vector`: the control that says what any push of this size does."""
    draw = torch.randn(len(vector), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (draw * (vector.double().norm() / draw.norm())).float()
