"""Concept editing against independent numbers: specs/steering.md §11, P7 to P12, tolerance 1e-4 (scrub 1e-3)."""

from __future__ import annotations

import pytest
import torch
from concept_erasure import LeaceFitter

from engine.families import Site
from engine.steering.editing.linear import erased_and_added, leace_functional, shrinkage
from engine.steering.editing.making import centred_label, make_edit
from engine.steering.editing.quadratic import quad, quadlda
from engine.steering.editing.scrub import scrub
from engine.steering.vectors import difference_weights

P7 = {  # E(x₀): first four coordinates, norm
    "leace": ([-3.832585, -7.503761, -0.306567, -7.651303], 24.002898),
    "orth": ([-3.543207, -7.191978, -1.788917, -9.932403], 24.221634),
}
P9 = {  # x₀ moved from the pooled class
    "down": ([-3.47897, -8.52996, -0.64138, -6.32133], 20.279867),
    "up": ([-4.88588, -7.648, 4.919, 0.80179], 27.969233),
}
P12 = {  # ‖vector‖ at attn0, mlp0, … for m = 1, halved as published
    "leace": [2.17458, 1.89555, 0.52924, 1.79311, 0.48633, 1.05702, 0.34239, 1.51924],
    "orth": [2.17458, 1.28405, 0.49235, 2.12989, 0.50253, 0.89021, 0.34339, 1.23753],
}


def functional(layer2, method: str):
    return leace_functional(layer2.x, layer2.v) if method == "leace" else layer2.v


def coordinate(h, g, v, mean):
    return (h - mean) @ g / (g @ v)


def test_p7_shrinkage(layer2):
    centred = layer2.x - layer2.mean
    alpha, beta = shrinkage(centred @ centred.T, 16, 16)
    assert alpha == pytest.approx(0.603921, abs=1e-5)
    assert beta == pytest.approx((1 - alpha) * float(centred.square().sum()) / 16 / 16)


@pytest.mark.parametrize("method", P7)
def test_p7_erasing(layer2, method):
    g = functional(layer2, method)
    erased = erased_and_added(0, layer2.v, g, layer2.mean).moved(layer2.x)
    first, norm = P7[method]
    assert erased[0, :4].tolist() == pytest.approx(first, abs=1e-4)
    assert erased[0].norm().item() == pytest.approx(norm, abs=1e-4)
    assert (erased[:8].mean(0) - erased[8:].mean(0)).abs().max() < 1e-13


def test_p7_directions_and_covariance(layer2):
    """What the closed form rests on: the library's projection lies along v and reads Σ̂⁻¹v."""
    fitter = LeaceFitter.fit(layer2.x, torch.tensor(layer2.z, dtype=torch.float64))
    left, right = fitter.eraser.proj_left[:, 0], fitter.eraser.proj_right[0]
    g = functional(layer2, "leace")
    assert abs(torch.cosine_similarity(left, layer2.v, dim=0)) == pytest.approx(1, abs=1e-9)
    assert abs(torch.cosine_similarity(right, g, dim=0)) == pytest.approx(1, abs=1e-9)
    assert float(fitter.sigma_xz.norm() / layer2.v.norm()) == pytest.approx(0.266667, abs=1e-6)


@pytest.mark.parametrize("multiplier", [-2.0, 0.0, 0.5])
@pytest.mark.parametrize("method", P7)
def test_p7_the_coordinate_becomes_the_multiplier(layer2, method, multiplier):
    g = functional(layer2, method)
    moved = erased_and_added(multiplier, layer2.v, g, layer2.mean).moved(layer2.x)
    assert coordinate(moved, g, layer2.v, layer2.mean).tolist() == pytest.approx([multiplier] * 16, abs=1e-9)
    erased = erased_and_added(0, layer2.v, g, layer2.mean).moved(layer2.x)
    torch.testing.assert_close(moved, erased + multiplier * layer2.v, atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", ["orth", "leace"])
def test_p8_short_vectors_are_erased_too(layer2, kind):
    x, v, mean = (part * 5e-4 for part in (layer2.x, layer2.v, layer2.mean))
    g = leace_functional(x, v) if kind == "leace" else v
    erased = erased_and_added(0, v, g, mean).moved(x)
    assert (erased[:8].mean(0) - erased[8:].mean(0)).norm() < 1e-9 * v.norm()


def test_p8_the_published_orth_does_nothing_to_short_vectors(layer2):
    def edit(scale: float, legacy: bool):
        return make_edit("orth", Site(2), 0.5, layer2.v * scale, layer2.mean * scale, legacy=legacy)

    torch.testing.assert_close(edit(5e-4, True), 0.5 * 5e-4 * layer2.v)  # m·v is added, nothing is erased
    for scale, legacy in ((1, True), (5e-4, False)):
        moved = edit(scale, legacy).moved(scale * layer2.x)
        assert (moved[:8].mean(0) - moved[8:].mean(0)).norm() < 1e-9 * scale * layer2.v.norm()


@pytest.mark.parametrize("direction", P9)
def test_p9_quad(layer2, direction):
    pair = quad(layer2.positive, layer2.negative)
    moved = (pair.up if direction == "up" else pair.down).moved(layer2.x)[0]
    first, norm = P9[direction]
    assert moved[:4].tolist() == pytest.approx(first, abs=1e-4)
    assert moved.norm().item() == pytest.approx(norm, abs=1e-4)


def test_p9_no_multiplier_leaves_states_alone(layer2):
    edit = make_edit("quad", Site(2), 0.0, layer2.v, layer2.mean, editors=object())
    assert not edit.any()


def test_p9_maps_carry_one_covariance_to_the_other(layer2):
    """T·Σ₀·Tᵀ = Σ₁, and T is symmetric: here between the classes, in whole matrices."""

    def covariance(states):
        centred = states - states.mean(0)
        alpha, beta = shrinkage(centred @ centred.T, 8, 16)
        return alpha * centred.T @ centred / 8 + beta * torch.eye(16, dtype=torch.float64)

    map_ = quadlda(layer2.positive, layer2.negative).up
    whole = map_.scale * torch.eye(16, dtype=torch.float64) + map_.basis @ map_.core @ map_.basis.T
    assert (whole @ covariance(layer2.negative) @ whole.T - covariance(layer2.positive)).abs().max() < 1e-12
    assert (whole - whole.T).abs().max() < 1e-12


def test_p10_quadlda(layer2):
    pair = quadlda(layer2.positive, layer2.negative)
    up, down = pair.up.moved(layer2.x), pair.down.moved(layer2.x)
    stays = [1] * 8 + [0, 0, 0, 1, 0, 0, 0, 0]  # predicted class
    assert [int(torch.equal(a, b)) for a, b in zip(up, layer2.x, strict=True)] == stays
    assert [int(not torch.equal(a, b)) for a, b in zip(down, layer2.x, strict=True)] == stays
    assert up[-1, :4].tolist() == pytest.approx([1.66326, -3.40697, 3.55578, -6.14498], abs=1e-4)
    assert up[-1].norm().item() == pytest.approx(21.127283, abs=1e-4)


def test_p11_oracle(layer2):
    label = centred_label("positive", "positive", {"positive": 8, "negative": 8})
    erased = layer2.x[0] + make_edit("oracle", Site(2), 0, layer2.v, layer2.mean, label=label)
    assert erased[:4].tolist() == pytest.approx([-4.21684, -7.91777, 1.66181, -4.62228], abs=1e-4)


@pytest.mark.parametrize("method", P12)
@pytest.mark.parametrize("batch_size", [3, 64], ids=["many batches", "one batch"])
def test_p12_scrub(parity, chats, method, batch_size):
    """Published: each multiplier refitted alone. Here all are fitted side by side."""
    sequences = [*chats["positive"], *chats["negative"]]
    weights = difference_weights(dict.fromkeys(chats, 8), "positive")
    chains = scrub(parity, sequences, weights, [-1.0, 1.0, 0.0], method, batch_size, legacy_half=True)
    assert list(chains[1].norms) == parity.sites("attn", "mlp")
    assert list(chains[1].norms.values()) == pytest.approx(P12[method], abs=1e-3)
