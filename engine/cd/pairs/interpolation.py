"""Weights of two models mixed, parameter by parameter (§1.4 of specs/contrastive_decoding.md).

Owns which parameter of C belongs to which of S: the one of the same name. The published code paired them by order, so that two
models that list theirs in another order were mixed without a word. It does not know how models are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.errors import InputError
from engine.models import LoadedModel


def comparison_share(weight: float, legacy: bool) -> float:
    """How much of C is in the mixture: w, and 1 - w as published, where 0 meant that nothing is mixed."""
    if not legacy:
        return weight
    return 0.0 if weight == 0 else 1 - weight


def mixed(starting: Tensor, comparison: Tensor, share: float) -> Tensor:
    """(1 - share)·S + share·C in float32 at least, rounded once to the dtype of S; equal values stay as they are."""
    exact = torch.promote_types(starting.dtype, torch.float32)
    return torch.lerp(starting.to(exact), comparison.to(starting.device, exact), share).to(starting.dtype)


@torch.no_grad()
def mix_into(starting: LoadedModel, comparison: LoadedModel, share: float) -> None:
    """Put the mixture in the place of S's weights; C keeps its own. Nothing is changed where any parameter does not fit."""
    pairs = list(_pairs(starting, comparison))
    if share != 0:
        for one, other in pairs:
            one.copy_(mixed(one, other, share))


def _pairs(starting: LoadedModel, comparison: LoadedModel) -> Iterator[tuple[Tensor, Tensor]]:
    for loaded in (starting, comparison):
        if loaded.quantised or not all(parameter.is_floating_point() for parameter in loaded.model.parameters()):
            raise InputError(
                f"The weights of {loaded.name} are quantised on disk, so they cannot be mixed; give --interpolate models in "
                "float32, float16 or bfloat16."
            )
        if any(parameter.is_meta for parameter in loaded.model.parameters()):
            raise InputError(
                f"Parts of {loaded.name} lie outside of memory, so they cannot be mixed; leave out --interpolate, or give a "
                "device map that keeps all of it in memory."
            )
    # Every name of a tied weight counts: S may tie what C does not, and then no single weight could be the mixture.
    others = dict(comparison.model.named_parameters(remove_duplicate=False))
    partners: dict[Tensor, tuple[str, Tensor]] = {}
    for name, parameter in starting.model.named_parameters(remove_duplicate=False):
        other = others.pop(name, None)
        if other is None or other.shape != parameter.shape:
            has = "has none of that name" if other is None else f"has it as {_shape(other)}"
            raise _no_pair(name, f"{_shape(parameter)} in {starting.name}, but {comparison.name} {has}")
        tied, partner = partners.setdefault(parameter, (name, other))
        if partner is not other and not torch.equal(partner, other):
            raise _no_pair(name, f"tied to {tied} in {starting.name}, but not in {comparison.name}")
        if tied == name:
            yield parameter, other
    if others:
        name = min(others)
        raise _no_pair(name, f"{_shape(others[name])} in {comparison.name}, but {starting.name} has none of that name")


def _no_pair(name: str, difference: str) -> InputError:
    return InputError(f"The parameter {name} is {difference}; --interpolate needs two models of one architecture.")


def _shape(parameter: Tensor) -> str:
    return "×".join(map(str, parameter.shape))
