"""Vectors as weighted sums of activations: mean differences (CAA, §2.2), k classes against each other, log-odds (§2.3).

Owns the weights and their accumulation in float64; the original averaged in bfloat16, which is a real error for large
coordinates. Every vector is Σ wᵢ·hᵢ over the examples, so many of them — several behaviours', the pooled mean, those of
shuffled labels — come out of one pass, and a chat that occurs twice is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import EngineError
from engine.families import Site
from engine.models import LoadedModel
from engine.steering.activations import Ids, check_finite, states

SHUFFLES = 3
"""How many controls with shuffled labels are made beside every vector: seeds 0 to 2."""


@dataclass(frozen=True)
class SteeringVector:
    """v, [hidden] float32; the mean state and the mean ‖h‖ of all examples where it was read, which is what a multiplier is
    large or small against; and the vectors that the same weights give when they are dealt out at random."""

    vector: Tensor
    mean: Tensor
    activation_norm: float
    shuffled: tuple[Tensor, ...]

    def tensors(self, site: Site) -> dict[str, Tensor]:
        """As they are named in a vectors file."""
        shuffled = {f"{site.name}/shuffled/{seed}": vector for seed, vector in enumerate(self.shuffled)}
        return {site.name: self.vector, f"{site.name}/mean": self.mean, **shuffled}


def mean_differences(
    model: LoadedModel,
    positive: Sequence[Ids],
    negative: Sequence[Ids],
    sites: Sequence[Site],
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[Site, SteeringVector]:
    """A vector for every site, from token ids of two classes that are each read at their last token."""
    classes = {"positive": positive, "negative": negative}
    weights = {"": difference_weights({name: len(sequences) for name, sequences in classes.items()}, "positive")}
    return weighted_vectors(model, [*positive, *negative], weights, sites, batch_size, advance)[""]


def difference_weights(sizes: Mapping[str, int], target: str) -> Tensor:
    """The weights of mean(target) − mean of the other classes' means, for examples that lie class behind class: [examples]
    float64. For two classes that is CAA's mean difference."""
    others = len(sizes) - 1
    shares = [1 / size if name == target else -1 / (others * size) for name, size in sizes.items()]
    return torch.tensor(shares, dtype=torch.float64).repeat_interleave(torch.tensor(list(sizes.values())))


@torch.inference_mode()
def weighted_vectors(
    model: LoadedModel,
    sequences: Sequence[Ids],
    weights: Mapping[str, Tensor],
    sites: Sequence[Site],
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
    keep: Callable[[Site, list[int], Tensor], None] | None = None,
) -> dict[str, dict[Site, SteeringVector]]:
    """For each named weighting of the sequences, [examples] float64, a vector at every site.

    `keep` is handed every state: (site, indices in `sequences`, [indices, hidden]).
    """
    distinct = list(dict.fromkeys(sequences))
    numbers = {ids: number for number, ids in enumerate(distinct)}
    column = torch.tensor([numbers[ids] for ids in sequences])
    owners: list[list[int]] = [[] for _ in distinct]
    for index, number in enumerate(column.tolist()):
        owners[number].append(index)
    rows = _rows(weights, len(sequences))
    table = torch.zeros(len(rows), len(distinct), dtype=torch.float64).index_add_(1, column, rows)
    sums: dict[Site, Tensor] = {}  # [rows, hidden], each on its site's device until the end, so that no batch waits for it
    norms: dict[Site, Tensor] = {}
    for chosen, found in states(model, distinct, sites, batch_size, lambda _: None):
        shares = table[:, chosen]
        counts = torch.tensor([len(owners[number]) for number in chosen], dtype=torch.float64)
        for site, state in found.items():
            exact = state.double()
            sums[site] = sums.get(site, 0) + shares.to(state.device) @ exact
            norms[site] = norms.get(site, 0) + counts.to(state.device) @ exact.norm(dim=-1)
            if keep:
                repeated = [(index, row) for row, number in enumerate(chosen) for index in owners[number]]
                keep(site, [index for index, _ in repeated], state[[row for _, row in repeated]])
        advance(int(counts.sum()))
    made: dict[str, dict[Site, SteeringVector]] = {name: {} for name in weights}
    for site in sites:
        mean, *others = check_finite(model, site, sums[site].cpu()).float().unbind()
        for name, start in zip(weights, range(0, len(others), 1 + SHUFFLES), strict=True):
            vector, *shuffled = others[start : start + 1 + SHUFFLES]
            made[name][site] = SteeringVector(vector, mean, float(norms[site]) / len(sequences), tuple(shuffled))
    return made


def _rows(weights: Mapping[str, Tensor], examples: int) -> Tensor:
    """The pooled mean's weights, then every weighting with its shuffles: [1 + weightings · (1 + SHUFFLES), examples]."""
    rows = [torch.full((examples,), 1 / examples, dtype=torch.float64)]
    for weighting in weights.values():
        orders = (torch.randperm(examples, generator=torch.Generator().manual_seed(seed)) for seed in range(SHUFFLES))
        rows += [weighting, *(weighting[order] for order in orders)]
    return torch.stack(rows)


def random_like(vector: Tensor, seed: int) -> Tensor:
    """A direction drawn at random with the norm of `vector`: the control that says what any push of this size does."""
    draw = torch.randn(len(vector), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (draw * (vector.double().norm() / draw.norm())).float()


def with_norm(vector: Tensor, norm: float, site: Site) -> Tensor:
    """The direction of `vector` with another length."""
    length = vector.double().norm()
    if length == 0:
        raise EngineError(f"The vector at {site.name} is zero, so it has no direction that could be given another length.")
    return (vector.double() * (norm / length)).float()
