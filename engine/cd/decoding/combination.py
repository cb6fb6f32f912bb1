"""Two next-token distributions made one: clipped difference of probabilities, masked difference of log-probabilities.

Owns the arithmetic of §1.1 and §1.7 of specs/contrastive_decoding.md (the latter: Li et al. 2023, arXiv 2210.15097). It knows
neither models nor how tokens are drawn. Everything is float32 and in logarithms, so nothing is lost where the difference is
small; the published floor of 1e-7 is an option.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.cd.options import expert
from engine.cd.settings import CombinationSettings


def combine(starting: Tensor, comparison: Tensor, how: CombinationSettings, keep: int = 1) -> Tensor:
    """Logits of S and C, [..., vocab] → logits of the combination, [..., vocab] float32, −inf where a token is excluded.

    keep: how many of the expert's likeliest tokens its mask leaves in at least (beams need two). Where nothing would be left,
    `prob_difference` falls back to S and `logprob_difference` to the expert, within the limit or mask. A row in which either
    model has NaN or infinite logits is NaN. Temperature, top-k and top-p come later (`engine.sampling`).
    """
    s, c = starting.float().log_softmax(-1), comparison.float().log_softmax(-1)
    if how.rule == "prob_difference":
        return _prob_difference(s, c, how)
    if expert(how) == "starting":
        return _logprob_difference(s, c, how.starting_weight, how.comparison_weight, how, keep)
    return _logprob_difference(c, s, how.comparison_weight, how.starting_weight, how, keep)


def _logprob_difference(
    strong: Tensor, weak: Tensor, weight: float, against: float, how: CombinationSettings, keep: int
) -> Tensor:
    """§1.7. strong, weak: log-probabilities of expert and amateur; weight > 0 ≥ against."""
    if how.rule == "none":
        return torch.where(weak[..., :1].isnan(), torch.nan, strong)
    expert_alone = strong if weight == 1 else strong * weight
    if how.mask > 0:
        expert_alone = torch.where(strong < _threshold(strong, how.mask, keep), -torch.inf, expert_alone)
    if against == 0:
        return torch.where(weak[..., :1].isnan(), torch.nan, expert_alone)
    amateur = weak
    if how.amateur_temperature != 1:
        amateur = weak / how.amateur_temperature
        amateur = amateur.log_softmax(-1) if how.renormalise else amateur
    score = torch.add(expert_alone, amateur, alpha=against)
    # A token that only the amateur rules out would score +inf, and one that both rule out NaN: the paper's code forbids both.
    if bool(amateur.amin() == -torch.inf):
        score = score.masked_fill(amateur == -torch.inf, -torch.inf)
        score = torch.where((score == -torch.inf).all(-1, keepdim=True), expert_alone, score)
    return score


def _threshold(strong: Tensor, mask: float, keep: int) -> Tensor:
    """The least log-probability that is plausible, [..., 1]: `mask` times the highest, or the `keep`-th best if that is less.
    Ties with it stay in."""
    best = strong.amax(-1, keepdim=True)
    threshold = best + math.log(mask)
    return threshold if keep == 1 else threshold.minimum(strong.topk(min(keep, strong.shape[-1])).values[..., -1:])


def _prob_difference(s: Tensor, c: Tensor, how: CombinationSettings) -> Tensor:
    """§1.1. s, c: log-probabilities."""
    mine, its = _weights(s, c, how)
    if how.floor > 0:
        score = (mine * s.exp() + its * c.exp()).clamp(min=0).add(how.floor).log()
    else:
        score = _log_of_sum(s, mine, c, its)
    inside = None if how.limit_top_p is None else _nucleus(s, how.limit_top_p)
    if inside is not None:
        score, s = score.masked_fill(~inside, -torch.inf), s.masked_fill(~inside, -torch.inf)
    return torch.where((score == -torch.inf).all(-1, keepdim=True), s, score)


def _weights(s: Tensor, c: Tensor, how: CombinationSettings) -> tuple[Tensor, Tensor]:
    """The weights of p_S and p_C, [..., 1]. The gate, (1 − b)·d + b·p_S with b = exp(g·(cosine − 1)), only changes weights."""
    mine, its = (s.new_full((*s.shape[:-1], 1), weight) for weight in (how.starting_weight, how.comparison_weight))
    if how.gate is None:
        return mine, its
    cosine = torch.cosine_similarity(s.exp(), c.exp(), dim=-1)[..., None]
    b = torch.exp(how.gate * (cosine - 1))
    return (1 - b) * mine + b, (1 - b) * its


def _log_of_sum(s: Tensor, mine: Tensor, c: Tensor, its: Tensor) -> Tensor:
    """ln(mine·eˢ + its·eᶜ), −inf where the sum is not positive. s, c: [..., vocab]; mine, its: [..., 1] of any sign."""
    a, b = s + mine.abs().log(), c + its.abs().log()
    positive = torch.where(a >= b, mine, its) > 0
    high, low = torch.maximum(a, b), torch.minimum(a, b)
    gap = torch.where(low == -torch.inf, -torch.inf, low - high)  # else −inf − (−inf)
    opposed = mine * its < 0
    share = torch.where(opposed, _log1mexp(gap), gap.exp().log1p())
    return torch.where(positive | high.isnan(), high + share, -torch.inf)


def _log1mexp(x: Tensor) -> Tensor:
    """ln(1 − eˣ) for x ≤ 0, accurate at both ends (Mächler 2012)."""
    return torch.where(x > -math.log(2), (-torch.expm1(x)).log(), torch.log1p(-torch.exp(x)))


def _nucleus(s: Tensor, share: float) -> Tensor:
    """[..., vocab] bool: the likeliest tokens whose probabilities reach `share` together, with the one that crosses it."""
    ranked, order = s.exp().sort(dim=-1, descending=True, stable=True)
    inside = ranked.cumsum(-1).roll(1, -1) < share
    inside[..., 0] = True
    return torch.zeros_like(inside).scatter(-1, order, inside)
