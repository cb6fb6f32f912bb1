"""How far every token's state lies along the steering vector: dot product and cosine, and what each state would say.

The state is a block's output, as steered; all positions come from one forward pass (the original decoded token by token).
"""

from __future__ import annotations

import torch

from engine.families import Site
from engine.hooks import edited
from engine.lens import lens
from engine.plots.chips import Chips, Token
from engine.steering.figures.look import Looked, forward, passed
from engine.steering.figures.settings import TokensSettings


def token_chips(looked: Looked, settings: TokensSettings) -> Chips:
    """A text for each multiplier: the prompt's tokens, then those of the model's own answer."""
    read = looked.layer if settings.read_layer is None else settings.read_layer
    looked.model.module(Site(read))  # says which layers there are
    states: list[torch.Tensor] = []
    with passed(looked) as runner, edited(looked.model, {Site(read): lambda h: states.append(h.detach())}):
        forward(looked, runner)
    texts: dict[str, tuple[Token, ...]] = {}
    for row, multiplier in enumerate(looked.multipliers):
        h = states[0][row, : len(looked.ids[row])]  # [seq, hidden]
        texts[f"{multiplier:+g} × v" if multiplier else "unsteered"] = _tokens(looked, settings, read, row, h)
    v = looked.vector(read)
    title = f"{settings.behavior}: states at layer {read} along its vector"
    note = f"{settings.model}, steered at layer {looked.layer}, positions '{settings.positions}'; ‖v‖ = {v.norm():.3g}."
    return Chips(title, "cosine" if settings.by == "cosine" else "dot product", texts, note)


def _tokens(looked: Looked, settings: TokensSettings, layer: int, row: int, h: torch.Tensor) -> tuple[Token, ...]:
    v = looked.vector(layer).double()
    state = h.to("cpu", torch.float64)
    dots = state @ v
    cosines = dots / (state.norm(dim=-1) * v.norm())
    likeliest = lens(looked.model, h).argmax(-1).tolist()
    tokens = []
    for place, text in enumerate(looked.tokens(row)):
        numbers = {"dot": float(dots[place]), "cosine": float(cosines[place])}
        said = str(looked.model.tokenizer.decode([likeliest[place]]))
        part = "prompt" if place < looked.prompt_length else "answer"
        tokens.append(Token(text, part, numbers[settings.by], numbers, {"lens": said}))
    return tuple(tokens)
