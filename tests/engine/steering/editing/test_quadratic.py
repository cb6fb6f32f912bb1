"""Low-rank transport against the concept-erasure library's whole matrices."""

from __future__ import annotations

import pytest
import torch
from concept_erasure import LeaceFitter, QuadraticFitter
from torch import Tensor

from engine.errors import InputError
from engine.steering.editing.quadratic import quad, quadlda

SHAPES = {  # target, others, hidden
    "hidden > n": (9, 12, 48),
    "n > hidden": (60, 40, 16),
    "n = hidden": (12, 12, 24),
    "rank-deficient": (15, 15, 40),
}


@pytest.fixture(params=SHAPES)
def classes(request) -> tuple[Tensor, Tensor]:
    above, below, hidden = SHAPES[request.param]
    draw = torch.Generator().manual_seed(1)
    mix = torch.randn(4 if request.param == "rank-deficient" else hidden, hidden, generator=draw, dtype=torch.float64)
    target = torch.randn(above, len(mix), generator=draw, dtype=torch.float64) @ mix + 2
    others = 0.4 * torch.randn(below, len(mix), generator=draw, dtype=torch.float64) @ mix.flip(0) - 1
    return target, others


def library(*classes: Tensor):
    fitter = QuadraticFitter(classes[0].shape[1], len(classes), dtype=torch.float64)
    for number, states in enumerate(classes):
        fitter.update_single(states, number)
    return fitter.editor()


def test_quad_equals_the_library(classes):
    target, others = classes
    pooled = torch.cat([target, others])
    editor, ours = library(others, target, pooled), quad(target, others)
    new = pooled.flip(1)  # states it was not fitted on, outside their span too
    for states in (pooled, new):
        torch.testing.assert_close(ours.up.moved(states), editor.transport(states, 2, 1), atol=1e-6, rtol=1e-9)
        torch.testing.assert_close(ours.down.moved(states), editor.transport(states, 2, 0), atol=1e-6, rtol=1e-9)


def test_quadlda_equals_the_library_in_any_batch(classes):
    """The published hook took one state at a time; here each state of a batch has its own prediction."""
    target, others = classes
    pooled = torch.cat([target, others])
    editor, ours = library(others, target), quadlda(target, others)
    z = torch.cat([torch.ones(len(target)), torch.zeros(len(others))])
    direction = LeaceFitter.fit(pooled, z.double()).eraser.proj_right[0]
    direction = direction * torch.sign(direction @ (target.mean(0) - others.mean(0)))
    states = torch.cat([pooled, pooled.flip(1), pooled.mean(0) + 0.01 * (pooled - pooled.mean(0))])
    predicted = (states @ direction > pooled.mean(0) @ direction).long()
    assert 0 < predicted.sum() < len(states)
    for goal, map_ in enumerate((ours.down, ours.up)):
        single = [
            state if source == goal else editor.transport(state, int(source), goal)
            for state, source in zip(states, predicted, strict=True)
        ]
        torch.testing.assert_close(map_.moved(states), torch.stack(single), atol=1e-6, rtol=1e-9)
        torch.testing.assert_close(map_.moved(states[None]), torch.stack(single)[None], atol=1e-6, rtol=1e-9)


def test_a_class_like_pure_noise_equals_the_library():
    """Its shrunk covariance has a negative variance, which is taken to be zero."""
    axes = torch.tensor([0.53, 0.47], dtype=torch.float64).sqrt().diag()
    target, others = torch.cat([axes, -axes]) + 1, torch.cat([axes, -3 * axes])
    editor, ours = library(others, target, torch.cat([target, others])), quad(target, others)
    for states in (target, others):
        assert ours.up.moved(states).isfinite().all()
        torch.testing.assert_close(ours.up.moved(states), editor.transport(states, 2, 1), atol=1e-6, rtol=1e-9)
        torch.testing.assert_close(ours.down.moved(states), editor.transport(states, 2, 0), atol=1e-6, rtol=1e-9)


@pytest.mark.parametrize("fit", [quad, quadlda])
def test_a_class_of_one_example_is_refused(fit):
    with pytest.raises(InputError, match="at least two different examples in each class"):
        fit(torch.randn(1, 4), torch.randn(5, 4))
    with pytest.raises(InputError, match="at least two different examples in each class"):
        fit(torch.randn(5, 4), torch.ones(5, 4))
