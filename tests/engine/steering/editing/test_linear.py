"""Closed forms against the concept-erasure library, and what erasing means."""

from __future__ import annotations

import pytest
import torch
from concept_erasure import LeaceFitter, OracleFitter
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.steering.editing.linear import erased_and_added, leace_functional, oracle, projected_and_added, shrinkage


def data(examples: int, hidden: int, rank: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two classes far from zero, whose dimensions vary unequally → x, z."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(examples, hidden, generator=draw, dtype=torch.float64)
    x *= torch.linspace(0.2, 3, hidden, dtype=torch.float64)
    if rank is not None:
        x = x[:, :rank] @ torch.randn(rank, hidden, generator=draw, dtype=torch.float64)
    z = (torch.arange(examples) % 2).double()
    return x + 5 + z[:, None] * torch.randn(hidden, generator=draw, dtype=torch.float64), z


def difference(x: Tensor, z: Tensor) -> Tensor:
    return x[z == 1].mean(0) - x[z == 0].mean(0)


SHAPES = {
    "hidden > n": (20, 64, None),
    "n > hidden": (200, 24, None),
    "n = hidden": (32, 32, None),
    "hidden > n, several blocks": (300, 320, None),
    "rank-deficient, hidden > n": (24, 64, 3),
    "rank-deficient, n > hidden": (120, 24, 3),
    "two examples": (2, 8, None),
}


@pytest.mark.parametrize("method", ["leace", "orth"])
@pytest.mark.parametrize("shape", SHAPES)
def test_erasing_equals_the_library(shape, method):
    x, z = data(*SHAPES[shape])
    v = difference(x, z)
    g = leace_functional(x, v) if method == "leace" else v
    ours = erased_and_added(0, v, g, x.mean(0)).moved(x)
    torch.testing.assert_close(ours, LeaceFitter.fit(x, z, method=method).eraser(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", ["hidden > n", "n > hidden"])
def test_log_odds_are_erased_like_labels(shape):
    """(x, z) with a real z: v = Cov(x, z) / std(z), as `--logit` makes it."""
    x, _ = data(*SHAPES[shape])
    odds = x @ torch.linspace(-1, 1, x.shape[1], dtype=torch.float64) + 0.3 * x[:, 0] ** 2
    v = (x - x.mean(0)).T @ (odds - odds.mean()) / (len(x) - 1) / odds.std()
    ours = erased_and_added(0, v, leace_functional(x, v), x.mean(0)).moved(x)
    torch.testing.assert_close(ours, LeaceFitter.fit(x, odds).eraser(x), atol=1e-6, rtol=0)
    assert ((ours - ours.mean(0)).T @ (odds - odds.mean())).abs().max() < 1e-8


def test_the_oracle_equals_the_library():
    x, z = data(40, 12)
    v, share = difference(x, z), float(z.mean())
    ours = torch.stack([row + oracle(0, v, float(label) - share) for row, label in zip(x, z, strict=True)])
    torch.testing.assert_close(ours, OracleFitter.fit(x, z).eraser(x, z), atol=1e-6, rtol=0)


def cross(first: float, second: float) -> tuple[Tensor, Tensor]:
    """Four states with these shares of the variance along two axes → x, z."""
    lengths = torch.tensor([first, second], dtype=torch.float64).sqrt().diag()
    return torch.cat([lengths, -lengths]) + 3, torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)


def test_states_like_pure_noise_are_shrunk_past_nothing_as_in_the_library():
    """α = −0.25: directions that vary more are taken to vary less."""
    x, z = cross(0.816, 0.184)
    alpha, _ = shrinkage((x - x.mean(0)).T @ (x - x.mean(0)), 4, 2)
    assert alpha == pytest.approx(-0.25, abs=0.01)
    v = difference(x, z)
    ours = erased_and_added(0.0, v, leace_functional(x, v), x.mean(0)).moved(x)
    fitter = LeaceFitter(2, 1, dtype=torch.float64)
    fitter.update(x, z[:, None])
    torch.testing.assert_close(ours, fitter.eraser(x), atol=1e-9, rtol=0)


def test_where_shrinking_leaves_a_negative_variance_all_directions_count_alike():
    x, z = cross(0.53, 0.47)
    alpha, beta = shrinkage((x - x.mean(0)).T @ (x - x.mean(0)), 4, 2)
    assert alpha * 0.53 / 2 + beta < 0
    v = difference(x, z)
    g = leace_functional(x, v)
    torch.testing.assert_close(g / g.norm(), v / v.norm(), atol=1e-12, rtol=0)


def test_states_that_are_all_the_same_are_left_alone():
    x = torch.ones(6, 4, dtype=torch.float64)
    v = torch.zeros(4, dtype=torch.float64)
    assert torch.equal(erased_and_added(2.0, v, leace_functional(x, v), x.mean(0)).moved(x), x)


def test_projecting_leaves_nothing_along_the_vector():
    x, z = data(10, 8)
    v = difference(x, z)
    assert (projected_and_added(0, v).moved(x) @ v).abs().max() < 1e-12
    assert (projected_and_added(-1.5, v).moved(x) @ v / (v @ v)).tolist() == pytest.approx([-1.5] * 10)


seeds = st.integers(0, 10_000)
shapes = st.tuples(st.integers(1, 20).map(lambda half: 2 * half), st.integers(2, 30), st.one_of(st.none(), st.integers(1, 2)))


@settings(max_examples=40, deadline=None)
@given(shape=shapes, seed=seeds, method=st.sampled_from(["leace", "orth"]), length=st.sampled_from([1.0, 1e-12, 1e8]))
def test_erasing_twice_is_erasing_once_and_leaves_class_means_equal(shape, seed, method, length):
    x, z = data(*shape, seed=seed)
    x = x * length
    v = difference(x, z)
    erase = erased_and_added(0, v, leace_functional(x, v) if method == "leace" else v, x.mean(0)).moved
    erased, scale = erase(x), float(x.abs().max())
    assert (erase(erased) - erased).abs().max() < 1e-8 * scale
    assert difference(erased, z).abs().max() < 1e-8 * scale
    assert (erased.mean(0) - x.mean(0)).abs().max() < 1e-8 * scale


@settings(max_examples=30, deadline=None)
@given(shape=shapes, seed=seeds, scale=st.sampled_from([1e-6, 0.3, 1e3]))
def test_leace_follows_turns_shifts_and_scales_of_space(shape, seed, scale):
    """Shrinking towards a multiple of the identity keeps these; stretching one dimension alone it does not keep."""
    x, z = data(*shape, seed=seed)
    draw = torch.Generator().manual_seed(seed + 1)
    turn, _ = torch.linalg.qr(torch.randn(x.shape[1], x.shape[1], generator=draw, dtype=torch.float64))

    def moved(h: Tensor) -> Tensor:
        return scale * h @ turn.T - 7 * scale

    def erased(h: Tensor) -> Tensor:
        v = difference(h, z)
        return erased_and_added(0, v, leace_functional(h, v), h.mean(0)).moved(h)

    expected = moved(erased(x))
    assert (erased(moved(x)) - expected).abs().max() < 1e-6 * float(expected.abs().max())
