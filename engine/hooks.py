"""Reading and changing what blocks and sublayers put out.

Owns forward hooks: they take tuple and tensor outputs, act on every row, return new tensors instead of writing in place, and
are gone when their `with` block ends. It knows no method and no position rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.families import Site
from engine.models import LoadedModel

Change = Callable[[Tensor], Tensor | None]
"""h: [batch, seq, hidden], or [batch·seq, hidden] for OPT's mlp → its replacement of the same shape, or None to leave it."""


@contextmanager
def edited(model: LoadedModel, edits: Mapping[Site, Change]) -> Iterator[None]:
    """Replace the outputs at `edits`' sites for as long as the block lasts."""
    handles = []
    try:
        for site, edit in edits.items():
            handles.append(model.module(site).register_forward_hook(_hook(edit)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def reading(model: LoadedModel, sites: Sequence[Site], positions: Tensor) -> Iterator[dict[Site, Tensor]]:
    """Keep one position per row, `positions`: [batch], at every site → after a forward pass {site: [batch, hidden]}.

    Only what is asked for is kept, so memory does not grow with the sequence.
    """
    states: dict[Site, Tensor] = {}
    places: dict[torch.device, tuple[Tensor, Tensor]] = {}  # moved to each device once, not once per site

    def keep(site: Site) -> Change:
        def take(h: Tensor) -> None:
            if h.device not in places:
                places[h.device] = torch.arange(len(positions), device=h.device), positions.to(h.device)
            states[site] = h.view(len(positions), -1, h.shape[-1])[places[h.device]]

        return take

    with edited(model, {site: keep(site) for site in sites}):
        yield states


def _hook(edit: Change) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            changed = edit(output[0])
            return None if changed is None else (changed, *output[1:])
        return edit(output)

    return hook
