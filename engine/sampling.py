"""Choosing the next token: greedy, or a draw of a row's own that depends on nothing but the row.

Owns the order temperature → top-k → top-p and a counter-based random generator: the draw of step t in a row is a function of
(row seed, t), so a text depends neither on its neighbours in the batch nor on their order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.settings import canonical_json

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # splitmix64 (Steele, Lea and Flood 2014): a bijective hash of a counter


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 cut nothing."""

    max_new_tokens: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def row_seed(seed: int, prompt_id: str, sample: int, multiplier: float) -> int:
    """63 bits that stand for one row of an experiment."""
    digest = hashlib.sha256(canonical_json([seed, prompt_id, sample, multiplier]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def uniform(seeds: np.ndarray, step: int) -> np.ndarray:
    """seeds: [batch] uint64 → [batch] float64 in [0, 1): draw number `step` of every row."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        z = seeds + _GOLDEN * np.uint64(step + 1)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose(logits: Tensor, sampling: Sampling, seeds: np.ndarray, step: int) -> Tensor:
    """logits: [batch, vocab] → [batch] token ids."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(_cut(logits.float() / sampling.temperature, sampling), -1, dtype=torch.float64)
    cumulative = probabilities.cumsum(-1)
    draws = torch.from_numpy(uniform(seeds, step)).to(logits.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, draws, right=True).squeeze(-1).clamp_(max=logits.shape[-1] - 1)


def _cut(logits: Tensor, sampling: Sampling) -> Tensor:
    """Set to −inf what top-k and then top-p leave out; the token that crosses `top_p` stays in."""
    if 0 < sampling.top_k < logits.shape[-1]:
        threshold = logits.topk(sampling.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < threshold, -torch.inf)
    if sampling.top_p < 1:
        ranked, order = logits.sort(descending=True, stable=True)
        probabilities = ranked.softmax(-1)
        outside = probabilities.cumsum(-1) - probabilities >= sampling.top_p
        logits = logits.masked_fill(outside.scatter(1, order, outside), -torch.inf)
    return logits
