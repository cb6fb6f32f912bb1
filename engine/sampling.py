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
    """logits: [batch, vocab] → [batch] token ids, −1 in rows where logits are NaN or infinite: there is nothing to choose."""
    if sampling.temperature == 0:
        highest, best = logits.max(-1)
        return torch.where(highest.isfinite(), best, -1)
    likely, tokens = candidates(logits, sampling)
    cumulative = torch.softmax(likely, -1, dtype=torch.float64).cumsum(-1)
    whole = cumulative[:, -1:]
    draws = torch.from_numpy(uniform(seeds, step)).to(logits.device)[:, None] * whole
    drawn = torch.searchsorted(cumulative, draws, right=True).clamp_(max=likely.shape[-1] - 1)
    return torch.where(whole.isfinite(), drawn if tokens is None else tokens.gather(1, drawn), -1).squeeze(-1)


def candidates(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """What may be drawn: logits over the temperature, −inf where top-k or then top-p leaves a token out, and which tokens they
    belong to, by ascending id; both [batch, candidates]. None stands for the whole vocabulary in its order."""
    tokens, scaled = None, logits.float() / sampling.temperature
    if 0 < sampling.top_k < scaled.shape[-1]:
        threshold, best = _best(scaled, sampling.top_k)
        tokens = best.sort(-1).values
        scaled = scaled.gather(1, tokens)
        scaled = scaled.masked_fill(scaled < threshold, -torch.inf)
    if sampling.top_p < 1:
        scaled = _nucleus(scaled, sampling.top_p)
    return scaled, tokens


def _best(logits: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """The k-th best logit of every row, [batch, 1], and tokens among which are all that reach it: ties stay in, as in
    transformers, and are common in bfloat16."""
    count = top_k
    while True:
        count = min(count + 8, logits.shape[-1])
        values, tokens = logits.topk(count)
        threshold = values[:, top_k - 1, None]
        if count == logits.shape[-1] or bool((values[:, -1:] < threshold).all()):
            return threshold, tokens
        count *= 2


def _nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Leave out the least likely, up to 1 − top_p of probability: the token that crosses `top_p` stays in, and of equals the
    one that comes last, as in transformers."""
    ranked, order = logits.sort(stable=True)
    outside = ranked.softmax(-1).cumsum(-1) <= 1 - top_p
    outside[:, -1] = False
    return logits.masked_fill(outside.scatter(1, order, outside), -torch.inf)
