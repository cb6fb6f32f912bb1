"""How far two next-token distributions lie apart: every measure of `engine.cd.decoding.numbers.MEASURES`, from logits.

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

from engine.cd.decoding.numbers import WEIGHTED
from engine.cd.settings import MeasureSettings
from engine.errors import InputError

PART_CPU, PART = 2**15, 2**24
"""Logits of one model worked on at a time. On a CPU larger tensors would be taken from the system and given back at every
operation, which took three times as long as the arithmetic."""
_BLOCK = 64
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
    rows = max(1, (PART_CPU if starting.device.type == "cpu" else PART) // starting.shape[-1])
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
    terms = _terms(settings, weights) | _DIFFERENCES
    if name not in terms:
        raise InputError(f"The measure {name!r} is no sum over the vocabulary; use one of {', '.join(terms)}.")
    factor, of = terms[name]
    return factor * of(_Both(starting, comparison))


class _Both:
    """ln p, ln q of S and C, p, q, and d = ln p − ln q: [..., vocab] float32. bounded: no token is ruled out by either."""

    def __init__(self, starting: Tensor, comparison: Tensor) -> None:
        self.lp, self.lq = starting.float().log_softmax(-1), comparison.float().log_softmax(-1)
        self.p, self.q, self.d = self.lp.exp(), self.lq.exp(), self.lp - self.lq
        self.mean = self.d.mean(-1, keepdim=True)
        self.bounded = bool(self.mean.isfinite().all())
        if not self.bounded:
            self.d = self.d.masked_fill((self.lp == -torch.inf) & (self.lq == -torch.inf), 0.0)

    def times(self, share: Tensor, value: Tensor) -> Tensor:
        """share·value, where nothing of something infinite is nothing."""
        product = share * value
        return product if self.bounded else product.masked_fill(share == 0, 0.0)


_Terms = dict[str, tuple[float, Callable[[_Both], Tensor]]]
"""Measure → a factor and what gives [..., vocab]; the sum of their product is the measure."""


def _read(starting: Tensor, comparison: Tensor, tokens: Tensor, settings: MeasureSettings, weights: Weights) -> Readings:
    """`read`, of rows that are few."""
    both, values, largest = _Both(starting, comparison), {}, None
    k = min(settings.alternatives, starting.shape[-1])
    for name, (factor, of) in _terms(settings, weights).items():
        terms = of(both)
        values[name] = factor * terms.sum(-1)
        if name == "kl":
            largest = _top(terms, k)
    assert largest is not None
    for name in ("kl", "reverse_kl", "js"):
        values[name] = values[name].clamp(min=0)  # equal distributions: their terms cancel but for rounding
    values["jeffreys"] = values["kl"] + values["reverse_kl"]
    values["entropy_difference"] = values["starting_entropy"] - values["comparison_entropy"]
    values["renyi"] = values["kl"] if settings.renyi_order == 1 else _renyi(both, settings.renyi_order)
    values["starting_logprob"], values["comparison_logprob"], values["log_ratio"] = (
        found.gather(-1, tokens[:, None]).squeeze(-1) for found in (both.lp, both.lq, both.d)
    )
    # Equals are common in half precision: models agree where some token is the likeliest of both.
    agreed = (both.lp + both.lq).amax(-1) == both.lp.amax(-1) + both.lq.amax(-1)
    values["top1_disagreement"] = (~agreed).float().masked_fill(values["kl"].isnan(), torch.nan)
    return Readings(values, _top(both.p, k), _top(both.q, k), largest)


def _top(numbers: Tensor, k: int) -> Top:
    """The k largest of [rows, vocab]. They lie in the k blocks whose maxima are largest, which a CPU finds in a third of the
    time."""
    vocabulary = numbers.shape[-1]
    if k == 0 or numbers.device.type != "cpu" or vocabulary % _BLOCK or vocabulary < 8 * k * _BLOCK:
        values, ids = numbers.topk(k)
        return ids, values
    blocks = numbers.view(len(numbers), -1, _BLOCK)
    chosen = blocks.amax(-1).topk(k).indices
    values, places = blocks.gather(1, chosen[..., None].expand(-1, -1, _BLOCK)).flatten(1).topk(k)
    return chosen.gather(1, places // _BLOCK) * _BLOCK + places % _BLOCK, values


def _joined(parts: Sequence[Top]) -> Top:
    return torch.cat([ids for ids, _ in parts]), torch.cat([numbers for _, numbers in parts])


def _terms(settings: MeasureSettings, weights: Weights) -> _Terms:
    """The measures that are sums over the vocabulary and not of one another."""
    terms: _Terms = {
        "kl": (1, lambda both: both.times(both.p, both.d)),
        "reverse_kl": (-1, lambda both: both.times(both.q, both.d)),
        "js": (0.5, _twice_js),
        "tv": (0.5, lambda both: (both.p - both.q).abs_()),
        "starting_entropy": (-1, lambda both: both.times(both.p, both.lp)),
        "comparison_entropy": (-1, lambda both: both.times(both.q, both.lq)),
        "centred_l1": (1, _centred_l1),
    }
    if settings.legacy_divergence is not None:
        terms[WEIGHTED] = (1, partial(_weighted, weights=weights, choice=settings.legacy_divergence))
    return terms


_DIFFERENCES: _Terms = {
    "jeffreys": (1, lambda both: both.times(both.p, both.d) - both.times(both.q, both.d)),
    "entropy_difference": (1, lambda both: both.times(both.q, both.lq) - both.times(both.p, both.lp)),
}


def _twice_js(both: _Both) -> Tensor:
    """p·ln(p/m) + q·ln(q/m) with m = (p + q)/2. By ln(p/m) = ln 2 − ln(1 + q/p) nothing cancels near equality, and with the
    larger of p and q taken out nothing does far from it."""
    gap = both.d.abs()
    if not both.bounded:
        gap = gap.clamp(max=100)  # so far apart, one of the two is all there is
    alike = torch.minimum(both.p, both.q) * gap
    return softplus(-gap).neg_().add_(math.log(2)).mul_(both.p + both.q).sub_(alike)


def _centred_l1(both: _Both) -> Tensor:
    """|difference of centred logits| over their number; tokens that either model rules out do not count."""
    if both.bounded:
        return (both.d - both.mean).abs_().mul_(1 / both.d.shape[-1])
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
    exponent = torch.add(lq, d, alpha=order)
    if not both.bounded:
        exponent = exponent.masked_fill(d == torch.inf, math.copysign(math.inf, order - 1))
    total = exponent.exp_().sum(-1).log() if order < 1 else exponent.logsumexp(-1)  # below 1 no exponent is above 0
    return (total / (order - 1)).clamp(min=0).float()
