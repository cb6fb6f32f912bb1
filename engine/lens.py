"""What a hidden state would say: the model's own final norm and head on the states inside its blocks (logit lens).

Owns reading the four states of every block (what attention adds, the stream after it, what the MLP adds, what the block puts
out, steered if it is) and turning states into logits. It knows no method.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from engine.families import Site
from engine.hooks import edited
from engine.models import LoadedModel, module_device

State = Literal["attention", "middle", "mlp", "block"]
STATES: dict[State, str] = {
    "attention": "attention output",
    "middle": "stream after attention",
    "mlp": "MLP output",
    "block": "block output",
}


def states_of(model: LoadedModel) -> tuple[State, ...]:
    """Where attention and MLP read the same stream there is none between them."""
    parallel = model.family.parallel
    if isinstance(parallel, str):
        parallel = bool(getattr(model.model.config, parallel))
    return ("attention", "mlp", "block") if parallel else ("attention", "middle", "mlp", "block")


@contextmanager
def reading_states(model: LoadedModel, positions: Sequence[int]) -> Iterator[dict[tuple[int, State], Tensor]]:
    """Keep every state of every block at these positions (of the batch's columns) → after a forward pass
    {(layer, state): [batch, positions, hidden]}. Edits attached before are seen in the blocks' outputs."""
    found: dict[tuple[int, State], Tensor] = {}
    wanted = torch.tensor(positions)
    shape: list[int] = []

    def enter(layer: int) -> Any:
        def hook(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            h = arguments[0] if arguments else named["hidden_states"]
            shape[:] = h.shape
            found[layer, "middle"] = h[:, wanted.to(h.device)]

        return hook

    def keep(layer: int, state: State) -> Any:
        def take(h: Tensor) -> None:
            found[layer, state] = h.view(shape)[:, wanted.to(h.device)]
            if state == "attention":
                found[layer, "middle"] = found[layer, "middle"] + found[layer, state]

        return take

    kinds: tuple[tuple[State, Any], ...] = (("attention", "attn"), ("mlp", "mlp"), ("block", "stream"))
    sites = {Site(layer, kind): keep(layer, state) for layer in range(model.layers) for state, kind in kinds}
    with ExitStack() as stack:
        for layer, block in enumerate(model.blocks()):
            stack.callback(block.register_forward_pre_hook(enter(layer), with_kwargs=True).remove)
        stack.enter_context(edited(model, sites))
        yield found
        if "middle" not in states_of(model):
            for layer in range(model.layers):
                found.pop((layer, "middle"), None)


@torch.inference_mode()
def lens(model: LoadedModel, h: Tensor) -> Tensor:
    """h: [..., hidden] → logits [..., vocab] float32, as the model itself makes them of its last state."""
    inner = model.model
    norm = inner.get_submodule(model.family.norm) if _has(inner, model.family.norm) else None
    project = inner.get_submodule(model.family.project) if model.family.project and _has(inner, model.family.project) else None
    head = inner.get_output_embeddings()
    for module in (norm, project, head):
        if module is not None:
            h = module(h.to(module_device(module)))
    cap = getattr(inner.config.get_text_config(), "final_logit_softcapping", None)
    return (torch.tanh(h / cap) * cap if cap else h).float()


def _has(module: Any, path: str) -> bool:
    """Whether there is a module at `path`: some configurations leave it None."""
    parent, _, name = path.rpartition(".")
    return getattr(module.get_submodule(parent), name, None) is not None
