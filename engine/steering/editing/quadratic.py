"""Quadratic edits (§4.3): optimal transport between classes that are taken to be Gaussian, at any hidden size.

`quad` moves a state from the pooled class to the target class or to the others; `quadlda` moves only the states that lie on the
other side, as linear discriminant analysis has it. Owns the maps in a basis U that all data share: Σᵢ = bᵢI + U·Cᵢ·Uᵀ, so
T = √(bⱼ/bᵢ)(I − UUᵀ) + U·OT(Cᵢ + bᵢI, Cⱼ + bⱼI)·Uᵀ exactly, without any hidden × hidden matrix where examples are fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.edits import Transport
from engine.errors import InputError
from engine.steering.editing.linear import leace_functional, shrinkage


@dataclass(frozen=True, eq=False)
class Pair:
    """Where states go for a positive multiplier (`up`, to the target class) and for a negative one."""

    up: Transport
    down: Transport


def quad(target: Tensor, others: Tensor) -> Pair:
    """From the class of all examples together. target, others: [examples, hidden] → maps in float64."""
    basis, gaussian = _shared(target, others)
    pooled = gaussian(torch.cat([target, others]))
    return Pair(_transport(basis, pooled, gaussian(target)), _transport(basis, pooled, gaussian(others)))


def quadlda(target: Tensor, others: Tensor) -> Pair:
    """From the other class, for the states that are predicted to belong to it. target, others: [examples, hidden]."""
    basis, gaussian = _shared(target, others)
    high, low = gaussian(target), gaussian(others)
    pooled = torch.cat([target, others])
    direction = leace_functional(pooled, high.mean - low.mean)  # ⟨Σ̂⁻¹v, v⟩ > 0: it points to the target
    middle = float(direction @ pooled.double().mean(0))
    return Pair(
        up=_transport(basis, low, high, gate=-direction, threshold=-middle),
        down=_transport(basis, high, low, gate=direction, threshold=middle),
    )


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """mean: [hidden]; covariance U·inside·Uᵀ + outside·(I − UUᵀ), inside: [rank, rank]."""

    mean: Tensor
    inside: Tensor
    outside: float


def _shared(target: Tensor, others: Tensor) -> tuple[Tensor, Callable[[Tensor], _Gaussian]]:
    """A basis that spans the centred data, [hidden, rank], and how a class of them is described in it."""
    for states in (target, others):
        if len(states) < 2 or bool((states == states[0]).all()):
            raise InputError("A quadratic edit needs at least two different examples in each class; give larger data.")
    pooled = torch.cat([target, others]).double()
    basis, _ = torch.linalg.qr((pooled - pooled.mean(0)).T)

    def gaussian(states: Tensor) -> _Gaussian:
        exact = states.double()
        mean = exact.mean(0)
        y = (exact - mean) @ basis
        n, width = exact.shape
        gram = y.T @ y
        alpha, beta = shrinkage(gram, n, width)
        identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        return _Gaussian(mean, (alpha / n) * gram + beta * identity, beta)

    return basis, gaussian


def _transport(
    basis: Tensor, source: _Gaussian, target: _Gaussian, gate: Tensor | None = None, threshold: float = 0.0
) -> Transport:
    scale = (target.outside / source.outside) ** 0.5
    inside = _optimal_map(source.inside, target.inside, len(basis))
    core = inside - scale * torch.eye(len(inside), dtype=inside.dtype, device=inside.device)
    return Transport(basis, core, scale, source.mean, target.mean, gate, threshold)


def _optimal_map(source: Tensor, target: Tensor, width: int) -> Tensor:
    """T = S^{-1/2}(S^{1/2}·R·S^{1/2})^{1/2}S^{-1/2} for covariances S, R: [rank, rank]: T·S·T = R."""
    values, vectors = torch.linalg.eigh(source)
    values = values.clamp_min(0)
    root = vectors * values.sqrt() @ vectors.T
    smallest = values[-1] * width * torch.finfo(values.dtype).eps
    inverse = vectors * torch.where(values > smallest, values.rsqrt(), 0) @ vectors.T
    between, axes = torch.linalg.eigh(root @ target @ root)
    return inverse @ (axes * between.clamp_min(0).sqrt() @ axes.T) @ inverse
