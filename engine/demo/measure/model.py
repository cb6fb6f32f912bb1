"""A loaded demo model, and the batched forward passes every measurement is made of.

Reading pads right (a causal model never looks ahead, so no mask is needed); generating pads left, with mask and position ids.
Steering adds a vector per row to the output of one decoder block, at the last prompt token and everything after it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from engine.data import Chat


@dataclass(frozen=True)
class DemoModel:
    """A frozen model in float32 and its tokenizer."""

    model: Any
    tokenizer: Any

    @property
    def layers(self) -> int:
        return self.model.config.num_hidden_layers

    def encode(self, chat: Chat) -> list[int]:
        """Ids up to where the answer begins, or to the end of a prefilled answer."""
        prefilled = chat[-1].role == "assistant"
        return self.tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.content} for message in chat],
            add_generation_prompt=not prefilled,
            continue_final_message=prefilled,
            return_dict=True,
        )["input_ids"]

    def token(self, text: str) -> int:
        """The id of a text that is one token."""
        (token,) = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return token


@dataclass(frozen=True)
class Steer:
    """What is added after block `layer`: `vector` is [hidden], or one per row [batch, hidden]."""

    layer: int
    vector: Tensor


def load(folder: Path) -> DemoModel:
    """From a folder of weights; never from the network."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    return DemoModel(model.requires_grad_(False), AutoTokenizer.from_pretrained(folder, local_files_only=True))


@contextlib.contextmanager
def edited(model: Any, edits: dict[int, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Replaces the output h [batch, seq, hidden] of the given blocks."""

    def hook(edit: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
        return lambda _module, _inputs, out: (edit(out[0]), *out[1:]) if isinstance(out, tuple) else edit(out)

    handles = [model.model.layers[layer].register_forward_hook(hook(edit)) for layer, edit in edits.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def activations(demo: DemoModel, chats: Sequence[Chat]) -> Tensor:
    """The residual stream after every block at each chat's last token: [chats, layers, hidden]."""
    rows = [demo.encode(chat) for chat in chats]
    ids, lengths = pad_right(rows)
    last = lengths - 1
    read: list[Tensor] = []

    def keep(h: Tensor) -> Tensor:
        read.append(h[torch.arange(len(h)), last].clone())
        return h

    with edited(demo.model, dict.fromkeys(range(demo.layers), keep)):
        demo.model(ids, use_cache=False, logits_to_keep=1)
    return torch.stack(read, 1)


@torch.no_grad()
def answer_logits(
    demo: DemoModel, prompts: Sequence[list[int]], answers: Sequence[list[int]], steer: Steer | None = None
) -> list[Tensor]:
    """Log probabilities of what follows each prompt and each token of its answer: [answer + 1, vocabulary] per row."""
    ids, _ = pad_right([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)])
    starts = torch.tensor([len(prompt) - 1 for prompt in prompts])
    edits = {}
    if steer:
        after = (torch.arange(ids.shape[1]) >= starts[:, None]).unsqueeze(-1)
        vector = steer.vector if steer.vector.ndim == 1 else steer.vector[:, None]
        edits = {steer.layer: lambda h: h + after * vector}
    with edited(demo.model, edits):
        logits = demo.model(ids, use_cache=False).logits
    return [
        torch.log_softmax(logits[i, start : start + len(answer) + 1], -1)
        for i, (start, answer) in enumerate(zip(starts.tolist(), answers, strict=True))
    ]


@torch.no_grad()
def generate(
    demo: DemoModel,
    chats: Sequence[Chat],
    length: int,
    *,
    steer: Steer | None = None,
    edits: dict[int, Callable[[Tensor], Tensor]] | None = None,
    sample: torch.Generator | None = None,
    against: DemoModel | None = None,
    mask: float = 0.1,
) -> list[str]:
    """Answers, greedy or sampled. `against` decodes contrastively: 2·log p − log p_against where p ≥ mask · max p."""
    rows = [demo.encode(chat) for chat in chats]
    longest = max(map(len, rows))
    pad = demo.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    seen = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    positions = (seen.cumsum(1) - 1).clamp(min=0)
    branches = [demo.model] + ([against.model] if against else [])
    caches = [DynamicCache(config=branch.config) for branch in branches]
    end, done = demo.tokenizer.eos_token_id, torch.zeros(len(rows), dtype=torch.bool)
    produced = torch.full((len(rows), length), end)

    def add(h: Tensor) -> Tensor:
        assert steer is not None
        vector = steer.vector if steer.vector.ndim == 1 else steer.vector[:, None]
        return torch.cat([h[:, :-1], h[:, -1:] + vector], 1)  # the last prompt token; later, the one new token

    with edited(demo.model, edits or ({steer.layer: add} if steer else {})):
        for step in range(length):
            scores = [
                torch.log_softmax(
                    branch(
                        ids,
                        attention_mask=seen,
                        position_ids=positions,
                        past_key_values=cache,
                        use_cache=True,
                        logits_to_keep=1,
                    ).logits[:, -1],
                    -1,
                )
                for branch, cache in zip(branches, caches, strict=True)
            ]
            score = scores[0]
            if against:
                plausible = score >= score.max(-1, keepdim=True).values + math.log(mask)
                score = (2 * score - scores[1]).masked_fill(~plausible, -1e9)
            if sample is None:
                token = score.argmax(-1)
            else:
                token = torch.multinomial(torch.softmax(score, -1), 1, generator=sample)[:, 0]
            token = torch.where(done, end, token)
            produced[:, step] = token
            done |= token == end
            if done.all():
                break
            ids, positions = token[:, None], positions[:, -1:] + 1
            seen = torch.cat([seen, torch.ones(len(rows), 1, dtype=seen.dtype)], 1)
    return [demo.tokenizer.decode(row[: (row == end).int().argmax()] if (row == end).any() else row) for row in produced]


def pad_right(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """-> ids [batch, seq] and lengths [batch]; the padding is token 0."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return ids, lengths
