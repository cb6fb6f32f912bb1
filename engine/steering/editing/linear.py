"""Linear edits in closed form (§3.2, §4.1, §4.2): project, orth, LEACE and the oracle, each with the addition in the same step.

All but the oracle slide a state along v until the coordinate c(h) = ⟨g, h − μ⟩ / ⟨g, v⟩ is the multiplier; they differ in the
functional g that measures it. For orth g = v, for LEACE (Belrose et al. 2023, binary labels) g = Σ̂⁻¹v with the covariance
shrunk as in Bodnar et al. 2014. Owns these formulas in float64; no matrix is larger than the smaller side of the data.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.edits import Slide

_SHORT = 0.01 / 0.25
"""The published orth eraser does nothing where ‖Cov(h, z)‖ ≤ 0.01; for labels in equal shares that covariance is v/4."""


def erased_and_added(multiplier: float, vector: Tensor, functional: Tensor, mean: Tensor) -> Slide:
    """h ← h + (m − c(h))·v, whatever the length of v. vector, functional, mean: [hidden].

    The slide's direction has length 1, so that a vector of any length keeps its digits in float32.
    """
    v, g = vector.double(), functional.double()
    length, measured = v.norm(), g @ v
    if length == 0:
        return Slide(torch.zeros_like(v), torch.zeros_like(v), 0.0)
    reader = g * (length / measured)
    at = multiplier * length + reader @ mean.double()
    return Slide(v / length, reader, float(at))


def projected_and_added(multiplier: float, vector: Tensor) -> Slide:
    """CAA's `do_projection`: h ← h − ⟨h, v⟩v/‖v‖² + m·v. It measures from zero, not from the mean."""
    return erased_and_added(multiplier, vector, vector, torch.zeros_like(vector))


def oracle(multiplier: float, vector: Tensor, label: float) -> Tensor:
    """What is added to a row whose class is known, label = z − z̄: h ← h − (z − z̄)·v + m·v."""
    return (multiplier - label) * vector


def is_short(vector: Tensor) -> bool:
    """True where the published orth eraser is the identity."""
    return float(vector.norm()) <= _SHORT


def leace_functional(states: Tensor, vector: Tensor) -> Tensor:
    """g = Σ̂⁻¹v. states: [examples, hidden], of all classes together; vector: [hidden] → [hidden] float64.

    With fewer examples than dimensions Σ̂ = α·XᵀX/n + βI is inverted through an n × n system (Woodbury), else as it is.
    """
    v = vector.double()
    x = states.double()
    x = x - x.mean(0)
    n, width = x.shape
    narrow = n <= width
    gram = _gram(x if narrow else x.T)
    if not gram.trace() > 0:
        return v  # all states are the same: no direction varies more than another
    alpha, beta = shrinkage(gram, n, width)
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor, failed = torch.linalg.cholesky_ex(beta * identity + (alpha / n) * gram)
    if failed:
        return v  # see `shrinkage`
    if narrow:
        inside = torch.cholesky_solve((x @ v)[:, None], factor)[:, 0]
        return (v - (alpha / n) * (x.T @ inside)) / beta
    return torch.cholesky_solve(v[:, None], factor)[:, 0]


def _gram(x: Tensor, block: int = 256) -> Tensor:
    """x·xᵀ at little more than half of the work: what lies above the diagonal mirrors what lies below."""
    gram = x.new_empty(len(x), len(x))
    for start in range(0, len(x), block):
        rows = slice(start, start + block)
        gram[rows, : rows.stop] = x[rows] @ x[: rows.stop].T
        gram[:start, rows] = gram[rows, :start].T
    return gram


def shrinkage(gram: Tensor, n: int, width: int) -> tuple[float, float]:
    """α and β of the covariance αXᵀX/n + βI (Bodnar et al. 2014) of n centred states, from XXᵀ or XᵀX, not zero.

    α falls below 0 for states that look like pure noise, as in the original. Where Σ̂ would then have a negative variance, LEACE
    takes it to be wholly shrunk, a multiple of the identity; transports take that variance to be zero, as in the original.
    """
    variance = float(gram.trace()) / n
    spread = float(gram.square().sum()) / (n * variance) ** 2 - 1 / width
    alpha = 1 - 1 / (n * spread) if spread > 0 else 0.0
    return alpha, (1 - alpha) * variance / width
