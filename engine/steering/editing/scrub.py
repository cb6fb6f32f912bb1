"""Scrubbing (§4.4): erase a concept and add the vector at every sublayer in turn, each fitted on what the edits before it have
left.

Owns the one pass through the blocks in which all multipliers go side by side: each is a set of rows with edits of its own. The
states stay where they were computed; blocks are replayed with the arguments that the model itself gave them, so every family of
the table can be scrubbed. Edits act on all tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from engine.edits import Slide
from engine.families import Site
from engine.forward import check_length, enough_memory, pad
from engine.hooks import Change, edited
from engine.models import LoadedModel
from engine.steering.activations import Ids, check_finite
from engine.steering.editing.linear import erased_and_added, leace_functional
from engine.steering.settings import ScrubMethod


@dataclass
class Chain:
    """The edits of one multiplier at every sublayer, in order, and the length of the vector that 1 stands for."""

    slides: dict[Site, Slide] = field(default_factory=dict)
    norms: dict[Site, float] = field(default_factory=dict)


@torch.inference_mode()
def scrub(
    model: LoadedModel,
    sequences: Sequence[Ids],
    weights: Tensor,
    multipliers: Sequence[float],
    method: ScrubMethod = "leace",
    batch_size: int = 256,
    advance: Callable[[int], None] = lambda _: None,
    legacy_half: bool = False,
) -> list[Chain]:
    """A chain for each multiplier, from sequences that are read at their last token.

    weights: [sequences] float64, those whose weighted sum of states is the vector (`difference_weights`); legacy_half: the
    vector that is added, not the one that is erased, is halved, as published. `advance` is told of each sublayer.
    """
    check_length(model, max(map(len, sequences)), "shorten the examples of the contrast")
    chains = [Chain() for _ in multipliers]
    order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    size = max(1, batch_size // len(multipliers))
    with enough_memory(size * len(multipliers)):
        batches = [
            _embedded(model, [sequences[index] for index in order[start : start + size]], len(multipliers))
            for start in range(0, len(order), size)
        ]

        def fit(site: Site, last: Tensor) -> list[Slide]:
            """last: [multipliers, sequences, hidden]."""
            slides = []
            for multiplier, states, chain in zip(multipliers, last, chains, strict=True):
                exact = check_finite(model, site, states).double()
                vector = weights[order].to(exact.device) @ exact
                functional = vector if method == "orth" else leace_functional(exact, vector)
                share = 0.5 if legacy_half else 1.0
                slide = erased_and_added(share * multiplier, vector, functional, exact.mean(0))
                slides.append(slide)
                chain.slides[site] = Slide(slide.direction.cpu(), slide.reader.cpu(), slide.at)
                chain.norms[site] = share * float(vector.norm())
            advance(1)
            return slides

        for layer in range(model.layers):
            _through_block(model, layer, batches, fit)
    return chains


@dataclass
class _Batch:
    """Rows lie multiplier behind multiplier. stream: [multipliers · sequences, seq, hidden]; last: each sequence's last
    position, [sequences]; calls: what the model gives each block beside the stream."""

    arms: int
    stream: Tensor
    last: Tensor
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]]

    def split(self, h: Tensor) -> Tensor:
        """[multipliers, sequences, seq, hidden]."""
        return h.view(self.arms, len(self.last), -1, h.shape[-1])

    def read(self, h: Tensor) -> Tensor:
        """The states at the last positions: [multipliers, sequences, hidden] float32."""
        rows = torch.arange(len(self.last), device=h.device)
        return self.split(h)[:, rows, self.last.to(h.device)].float()

    def run(self, block: nn.Module, layer: int) -> Tensor:
        args, kwargs = self.calls[layer]
        output = block(self.stream, *args, **kwargs)
        return output[0] if isinstance(output, tuple) else output


class _Enough(Exception):
    """The block has computed what was wanted of it."""


def _through_block(
    model: LoadedModel, layer: int, batches: Sequence[_Batch], fit: Callable[[Site, Tensor], list[Slide]]
) -> None:
    """Fit the attention's edits, then the MLP's behind them, and move every batch's stream behind the block."""
    block, attention, mlp = model.blocks()[layer], Site(layer, "attn"), Site(layer, "mlp")
    read: list[Tensor] = []

    def stop_after(batch: _Batch) -> Change:
        def keep(h: Tensor) -> None:
            read.append(batch.read(h))
            raise _Enough

        return keep

    for batch in batches:
        with edited(model, {attention: stop_after(batch)}):
            try:
                batch.run(block, layer)
            except _Enough:
                continue
    slides = fit(attention, torch.cat(read, 1))
    outputs: list[Tensor] = []
    for batch in batches:
        with edited(model, {attention: _sliding(batch, slides), mlp: lambda h: outputs.append(h)}):
            batch.stream = batch.run(block, layer)
    after = fit(mlp, torch.cat([batch.read(h) for batch, h in zip(batches, outputs, strict=True)], 1))
    for batch, h in zip(batches, outputs, strict=True):  # what a site puts out is what is added to the stream
        batch.stream = batch.stream + (_sliding(batch, after)(h) - h).view_as(batch.stream)


def _sliding(batch: _Batch, slides: Sequence[Slide]) -> Callable[[Tensor], Tensor]:
    def change(h: Tensor) -> Tensor:
        exact = torch.promote_types(h.dtype, torch.float32)
        moved = [
            Slide(slide.direction.to(h.device, exact), slide.reader.to(h.device, exact), slide.at).moved(rows.to(exact))
            for slide, rows in zip(slides, batch.split(h), strict=True)
        ]
        return torch.stack(moved).to(h.dtype).view_as(h)

    return change


def _embedded(model: LoadedModel, sequences: Sequence[Ids], arms: int) -> _Batch:
    """Let the model prepare a batch: the stream before the first block, and the arguments of every block."""
    ids, valid = pad(sequences, "right")
    streams: list[Tensor] = []
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def note(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(kwargs)
        streams.append(args[0] if args else given.pop("hidden_states"))
        calls.append((args[1:], given))

    with ExitStack() as hooks:
        for block in model.blocks():
            hooks.callback(block.register_forward_pre_hook(note, with_kwargs=True).remove)
        model.model.base_model(input_ids=ids.repeat(arms, 1).to(model.device), use_cache=False)
    return _Batch(arms, streams[0], valid.sum(1) - 1, calls)
