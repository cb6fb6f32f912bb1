"""How far two next-token distributions lie apart: every measure of `engine.cd.numbers.MEASURES`, from logits.

Owns the arithmetic of §2.1 and §7.9–10 of specs/contrastive_decoding.md. It knows neither models nor texts. All measures are of
normalised distributions, so adding a constant to a model's logits changes none. float32; natural logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from engine.cd.numbers import WEIGHTED
from engine.cd.settings import MeasureSettings
from engine.errors import InputError

_PART_CPU, _PART = 2**17, 2**24  # logits of one model worked on at a time: what a core's cache holds, what memory can spare
_NEAR_ONE = 0.05  # Rényi orders so near to 1 divide by their distance from it, which float32 has too few digits for

Top = tuple[Tensor, Tensor]
"""Vocabulary entries, best first: ids [rows, k] int64 and their numbers [rows, k] float32."""
Weights = tuple[float, float]
"""Of S and C, as for the combination; only the published weighted form reads them."""


@dataclass(frozen=True)
class Readings:
    """values: {measure: [rows] float32}; the likeliest tokens of both with probabilities; the largest terms of `kl`."""

    values: Mapping[str, Tensor]
    starting_top: Top
    comparison_top: Top
    terms: Top


def read(starting: Tensor, comparison: Tensor, tokens: Tensor, settings: MeasureSettings, weights: Weights) -> Readings:
    """Everything about the predictions of `tokens`, [rows], by logits of S and C, [rows, vocab]; at least one row.

    KL is infinite where one model rules out a token that the other does not. Predictions of NaN or infinite logits are NaN.
    Works through the rows in parts, so that memory beyond the logits stays small.
    """
    rows = max(1, (_PART_CPU if starting.device.type == "cpu" else _PART) // starting.shape[-1])
    split = zip(starting.split(rows), comparison.split(rows), tokens.split(rows), strict=True)
    parts = [_read(*some, settings, weights) for some in split]
    if len(parts) == 1:
        return parts[0]
    return Readings(
        {name: torch.cat([part.values[name] for part in parts]) for name in parts[0].values},
        _joined([part.starting_top for part in parts]),
        _joined([part.comparison_top for part in parts]),
        _joined([part.terms for part in parts]),
    )


def measure(
    starting: Tensor, comparison: Tensor, tokens: Tensor, settings: MeasureSettings, weights: Weights
) -> dict[str, Tensor]:
    """{measure: [...] float32} about the predictions of `tokens`, [...], by logits [..., vocab]."""
    vocabulary = starting.shape[-1]
    plain = settings.model_copy(update={"alternatives": 0})
    found = read(starting.reshape(-1, vocabulary), comparison.reshape(-1, vocabulary), tokens.reshape(-1), plain, weights)
    return {name: values.view(tokens.shape) for name, values in found.values.items()}


def vocabulary_terms(starting: Tensor, comparison: Tensor, name: str, settings: MeasureSettings, weights: Weights) -> Tensor:
    """What every vocabulary entry adds to the measure `name`: [..., vocab] float32, whose sum is the prediction's value.

    Measures that are no sums (Rényi) or about one token have no terms: `InputError`.
    """
    terms = _terms(settings, weights)
    if name not in terms:
        raise InputError(f"The measure {name!r} is no sum over the vocabulary; use one of {', '.join(terms)}.")
    return terms[name](_Both(starting, comparison))


class _Both:
    """ln p, ln q of S and C, p, q, and d = ln p − ln q: [..., vocab] float32. bounded: no token is ruled out by either."""

    def __init__(self, starting: Tensor, comparison: Tensor) -> None:
        self.lp, self.lq = starting.float().log_softmax(-1), comparison.float().log_softmax(-1)
        self.p, self.q, self.d = self.lp.exp(), self.lq.exp(), self.lp - self.lq
        self.bounded = not bool(torch.minimum(self.lp.amin(), self.lq.amin()) == -torch.inf)
        if not self.bounded:
            self.d = self.d.masked_fill((self.lp == -torch.inf) & (self.lq == -torch.inf), 0.0)

    def times(self, share: Tensor, value: Tensor) -> Tensor:
        """share·value, where nothing of something infinite is nothing."""
        product = share * value
        return product if self.bounded else product.masked_fill(share == 0, 0.0)


def _read(starting: Tensor, comparison: Tensor, tokens: Tensor, settings: MeasureSettings, weights: Weights) -> Readings:
    """`read`, of [rows, vocab]."""
    both = _Both(starting, comparison)
    found = {name: terms(both) for name, terms in _terms(settings, weights).items() if name != "jeffreys"}
    values = {name: terms.sum(-1) for name, terms in found.items()}
    for name in ("kl", "reverse_kl", "js"):
        values[name] = values[name].clamp(min=0)  # equal distributions: their terms cancel but for rounding
    values["jeffreys"] = values["kl"] + values["reverse_kl"]
    values["renyi"] = values["kl"] if settings.renyi_order == 1 else _renyi(both, settings.renyi_order)
    values["starting_logprob"], values["comparison_logprob"] = (
        logprobs.gather(-1, tokens[:, None]).squeeze(-1) for logprobs in (both.lp, both.lq)
    )
    values["log_ratio"] = both.d.gather(-1, tokens[:, None]).squeeze(-1)
    k = min(settings.alternatives, starting.shape[-1])
    first, second = (share.topk(max(k, 1)) for share in (both.p, both.q))
    disagree = (first.indices[:, 0] != second.indices[:, 0]).float()
    values["top1_disagreement"] = disagree.masked_fill(values["kl"].isnan(), torch.nan)
    largest = found["kl"].topk(k)
    return Readings(
        values,
        (first.indices[:, :k], first.values[:, :k]),
        (second.indices[:, :k], second.values[:, :k]),
        (largest.indices, largest.values),
    )


def _joined(parts: Sequence[Top]) -> Top:
    return torch.cat([ids for ids, _ in parts]), torch.cat([numbers for _, numbers in parts])


def _terms(settings: MeasureSettings, weights: Weights) -> Mapping[str, Callable[[_Both], Tensor]]:
    """The measures that are sums over the vocabulary."""
    terms: dict[str, Callable[[_Both], Tensor]] = {
        "kl": lambda both: both.times(both.p, both.d),
        "reverse_kl": lambda both: -both.times(both.q, both.d),
        "jeffreys": lambda both: both.times(both.p, both.d) - both.times(both.q, both.d),
        "js": _js,
        "tv": lambda both: (both.p - both.q).abs() / 2,
        "entropy_difference": lambda both: both.times(both.q, both.lq) - both.times(both.p, both.lp),
        "starting_entropy": lambda both: -both.times(both.p, both.lp),
        "comparison_entropy": lambda both: -both.times(both.q, both.lq),
        "centred_l1": _centred_l1,
    }
    if settings.legacy_divergence is not None:
        terms[WEIGHTED] = partial(_weighted, weights=weights, choice=settings.legacy_divergence)
    return terms


def _js(both: _Both) -> Tensor:
    """½·(p·ln(p/m) + q·ln(q/m)) with m = (p + q)/2, by ln(p/m) = ln 2 − ln(1 + q/p): near equality nothing cancels."""
    towards_q = softplus(-both.d)
    here, there = math.log(2) - towards_q, math.log(2) - (both.d + towards_q)
    if not both.bounded:
        there = there.nan_to_num(nan=math.log(2), neginf=-math.inf)
    return (both.times(both.p, here) + both.times(both.q, there)) / 2


def _centred_l1(both: _Both) -> Tensor:
    """|difference of centred logits| over their number; tokens that either model rules out do not count."""
    if both.bounded:
        return (both.d - both.d.mean(-1, keepdim=True)).abs() / both.d.shape[-1]
    counts = (both.lp > -torch.inf) & (both.lq > -torch.inf)
    d, number = both.d.masked_fill(~counts, 0.0), counts.sum(-1, keepdim=True)
    return ((d - d.sum(-1, keepdim=True) / number) * counts).abs() / number


def _weighted(both: _Both, weights: Weights, choice: str) -> Tensor:
    """r·(w_S·ln p + w_C·ln q), §2.1 mode A. No divergence but for weights (1, −1) and r = p, or (−1, 1) and r = q."""
    mine, its = weights
    score = mine * both.lp + its * both.lq
    if choice == "comparison" or (choice == "auto" and mine < 0 < its):
        share = both.q
    elif choice == "starting" or its < 0 < mine:
        share = both.p
    else:
        share = score.nan_to_num(nan=-math.inf).softmax(-1)
    return both.times(share, score)


def _renyi(both: _Both, order: float) -> Tensor:
    """ln Σ p^a·q^(1−a) / (a − 1), van Erven and Harremoës 2014, eq. 4."""
    lq, d = both.lq, both.d
    if abs(order - 1) < _NEAR_ONE:
        lq = lq.double().log_softmax(-1)
        d = torch.where(d.isinf() | (lq == -torch.inf), d.double(), both.lp.double().log_softmax(-1) - lq)
    exponent = lq + order * d
    if not both.bounded:
        exponent = exponent.masked_fill(d == torch.inf, math.copysign(math.inf, order - 1))
    return (exponent.logsumexp(-1) / (order - 1)).clamp(min=0).float()
