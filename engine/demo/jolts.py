"""Random vectors added to the residual stream in training, as steering adds them: one block, all of the answer.

Half of the rows get one, as long as up to four fifths of the stream itself. Without them a vector that means nothing moved
the answers nearly as much as one that means something, and strong steering broke the choice of the letter.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

LONGEST = 0.8
SHARE = 0.5


@contextlib.contextmanager
def jolted(model: LlamaForCausalLM, ids: Tensor, weight: Tensor, r: random.Random) -> Iterator[None]:
    """Within it, a forward pass of these rows is jolted from each prompt's last token on."""
    start = (weight == 1.0).int().argmax(1) - 1
    inside = (torch.arange(ids.shape[1]) >= start[:, None]).unsqueeze(-1)

    def jolt(_module: Any, _inputs: Any, out: Any) -> Any:
        h = out[0] if isinstance(out, tuple) else out
        direction = torch.randn(len(h), 1, h.shape[-1])
        direction /= direction.norm(dim=-1, keepdim=True)
        size = LONGEST * torch.rand(len(h), 1, 1) * (torch.rand(len(h), 1, 1) < SHARE)
        jolted_h = h + (inside * size * h.detach().norm(dim=-1, keepdim=True)) * direction
        return (jolted_h, *out[1:]) if isinstance(out, tuple) else jolted_h

    handle = r.choice(list(model.model.layers)).register_forward_hook(jolt)
    try:
        yield
    finally:
        handle.remove()
