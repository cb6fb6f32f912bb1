"""Examples as training batches: token ids, and a weight per token.

Rows of like length go together, so that little of a batch is padding. Prompt tokens count a tenth of answer tokens: enough
to learn every word's embedding, not enough to spend the model on guessing nouns.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from engine.data import Chat
from engine.demo.corpus import Sampler
from engine.demo.tokenizer import BEGIN, END, ROLES, token_id

PROMPT_WEIGHT = 0.1
_POOL = 16  # batches sorted by length together


class Encoder:
    """Chat and answer to ids, as the chat template gives them but without the template engine (a test compares)."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._roles = {role: token_id(tokenizer, token) for role, token in ROLES.items()}
        self._begin, self._end = token_id(tokenizer, BEGIN), token_id(tokenizer, END)

    def encode(self, examples: list[tuple[Chat, str]]) -> list[tuple[list[int], int]]:
        """-> the ids of each example, and how many of them are prompt."""
        texts = [text for chat, answer in examples for text in (*(message.content for message in chat), answer)]
        parts = iter(self._tokenizer(texts, add_special_tokens=False)["input_ids"])
        rows = []
        for chat, _ in examples:
            ids = [self._begin]
            for message in chat:
                ids += [self._roles[message.role], *next(parts), self._end]
            ids.append(self._roles["assistant"])
            rows.append(([*ids, *next(parts), self._end], len(ids)))
        return rows


def batches(r: random.Random, encoder: Encoder, sampler: Sampler, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (ids [size, seq], weight [size, seq]); padding weighs nothing."""
    while True:
        rows = encoder.encode([sampler(r) for _ in range(size * _POOL)])
        rows.sort(key=lambda row: len(row[0]))
        starts = list(range(0, len(rows), size))
        r.shuffle(starts)
        for start in starts:
            yield _padded(rows[start : start + size])


def _padded(rows: list[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    longest = max(len(ids) for ids, _ in rows)
    ids, weight = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest)
    for i, (row, prompt) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        weight[i, 1:prompt] = PROMPT_WEIGHT
        weight[i, prompt : len(row)] = 1.0
    return ids, weight
