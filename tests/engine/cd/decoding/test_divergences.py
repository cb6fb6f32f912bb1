"""Divergences: the numbers of specs/contrastive_decoding.md §8.1, an independent reckoning, and what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.cd.decoding.divergences import measure, read, vocabulary_terms
from engine.cd.decoding.numbers import MEASURES, WEIGHTED
from engine.cd.settings import MeasureSettings
from engine.errors import InputError

S, C = torch.tensor([2.0, 1, 0, -1]), torch.tensor([1.0, 1, 1, 0])  # §8.1
OUT, ANY, PLAIN = -torch.inf, torch.tensor(0), MeasureSettings()
ONE_TOKEN = ("log_ratio", "starting_logprob", "comparison_logprob")
NO_SUMS = (*ONE_TOKEN, "renyi", "top1_disagreement")
logits = st.lists(st.floats(-30, 30, width=32), min_size=6, max_size=6).map(torch.tensor)
orders = st.sampled_from([0.1, 0.5, 0.96, 0.9999, 1.0, 1.0001, 1.3, 2.0])


def of(starting: Tensor, comparison: Tensor, token: int = 0, weights=(1.0, -1.0), **options) -> dict[str, float]:
    found = measure(starting, comparison, torch.tensor(token), MeasureSettings(**options), weights)
    return {name: float(value) for name, value in found.items()}


def reckoned(starting: Tensor, comparison: Tensor, token: int, order: float) -> dict[str, float]:
    """By the definitions, in double precision."""
    z, y = starting.double().numpy(), comparison.double().numpy()
    lp, lq = z - np.logaddexp.reduce(z), y - np.logaddexp.reduce(y)
    p, q, m = np.exp(lp), np.exp(lq), (np.exp(lp) + np.exp(lq)) / 2
    kl, reverse = float(p @ (lp - lq)), float(q @ (lq - lp))
    renyi = kl if order == 1 else np.log(np.sum(p**order * q ** (1 - order))) / (order - 1)
    centred = (z - z.mean()) - (y - y.mean())
    return {
        "kl": kl,
        "reverse_kl": reverse,
        "jeffreys": kl + reverse,
        "js": float(p @ (lp - np.log(m)) + q @ (lq - np.log(m))) / 2,
        "tv": float(np.abs(p - q).sum()) / 2,
        "renyi": float(renyi),
        "entropy_difference": float(q @ lq - p @ lp),
        "top1_disagreement": float(z.argmax() != y.argmax()),
        "log_ratio": lp[token] - lq[token],
        "centred_l1": float(np.abs(centred).mean()),
        "starting_logprob": lp[token],
        "comparison_logprob": lq[token],
        "starting_entropy": -float(p @ lp),
        "comparison_entropy": -float(q @ lq),
    }


@pytest.mark.parametrize(
    ("weights", "choice", "expected"),
    [
        ((1, -1), "auto", 0.29880494),
        ((-1, 1), "auto", 0.33513817),
        ((1, 0), "auto", -0.94753696),
        ((1, 1), "auto", -2.12229972),
        ((2, -1), "auto", -0.64873202),
        ((0.5, -1), "auto", 0.77257342),
        ((1, -1), "starting", 0.29880494),
        ((1, -1), "comparison", -0.33513817),
    ],
)
def test_the_published_weighted_form(weights, choice, expected):
    for shift in (0, 5):
        assert of(S, C + shift, weights=weights, legacy_divergence=choice)[WEIGHTED] == pytest.approx(expected, abs=1e-6)


def test_the_other_published_numbers():
    found = of(S, C)
    assert set(found) == set(MEASURES)
    assert found["kl"] == pytest.approx(0.29880494, abs=1e-7)
    assert found["kl"] / 4 == pytest.approx(0.07470123, abs=1e-7)  # the old library call divided by the vocabulary
    assert found["reverse_kl"] == pytest.approx(0.33513817, abs=1e-7)
    assert found["centred_l1"] == of(S, C + 5)["centred_l1"] == 0.75  # of raw logits: 0.75 and 4.25


@given(starting=logits, comparison=logits, token=st.integers(0, 5), order=orders)
@settings(max_examples=200)
def test_every_measure_is_its_definition(starting, comparison, token, order):
    found, expected = of(starting, comparison, token, renyi_order=order), reckoned(starting, comparison, token, order)
    if any(ranked[-1] - ranked[-2] < 1e-4 for ranked in (starting.sort().values, comparison.sort().values)):
        found["top1_disagreement"] = expected["top1_disagreement"] = 0  # of equals see below
    assert found == pytest.approx(expected, rel=2e-4, abs=5e-5)


@pytest.mark.parametrize(
    ("starting", "comparison", "disagree"),
    [([1, 1, 0], [0, 1, 1], 0), ([1, 1, 0], [0, 0, 1], 1), ([1, 2, 0], [0, 3, 3], 0), ([0, 2, 1], [0, 1, 2], 1)],
)
def test_of_equals_any_may_be_the_likeliest(starting, comparison, disagree):
    assert of(torch.tensor(starting), torch.tensor(comparison))["top1_disagreement"] == disagree


@given(starting=logits, comparison=logits, order=orders)
def test_bounds(starting, comparison, order):
    found = of(starting, comparison, renyi_order=order)
    assert min(found[name] for name in ("kl", "reverse_kl", "jeffreys", "js", "tv", "renyi", "centred_l1")) >= 0
    assert found["js"] <= math.log(2) + 1e-6
    assert found["tv"] <= 1 + 1e-6
    swapped = of(comparison, starting, renyi_order=order)
    assert swapped["js"] == pytest.approx(found["js"], abs=1e-6)
    assert (swapped["kl"], swapped["entropy_difference"]) == pytest.approx((found["reverse_kl"], -found["entropy_difference"]))


@given(both=logits, order=orders)
def test_equal_models_do_not_diverge(both, order):
    found = of(both, both + 3, renyi_order=order)
    for name in ("kl", "reverse_kl", "jeffreys", "js", "tv", "log_ratio", "centred_l1", "entropy_difference"):
        assert found[name] == pytest.approx(0, abs=2e-5), name
    assert found["renyi"] == pytest.approx(0, abs=1e-4)
    assert of(both, both)["top1_disagreement"] == 0


def test_small_divergences_keep_their_digits():
    """Two models a thousandth of a nat apart: KL of a millionth."""
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(1000, generator=draw, dtype=torch.float64)
    y = z + 1e-3 * torch.randn(1000, generator=draw, dtype=torch.float64)
    found, expected = of(z.float(), y.float()), reckoned(z, y, 0, 0.5)
    assert 1e-7 < expected["js"] < 1e-6
    assert found["kl"] == pytest.approx(expected["kl"], abs=3e-7)
    assert found["js"] == pytest.approx(expected["js"], abs=3e-8)


@given(starting=logits, comparison=logits, shift=st.floats(-20, 20, width=32))
def test_constants_on_logits_change_nothing(starting, comparison, shift):
    expected = of(starting, comparison, renyi_order=0.7) | {"top1_disagreement": 0.0}
    found = of(starting + shift, comparison - shift, renyi_order=0.7) | {"top1_disagreement": 0.0}  # rounding may tie the best
    assert found == pytest.approx(expected, rel=1e-3, abs=2e-4)


@pytest.mark.parametrize("name", [*(name for name in MEASURES if name not in NO_SUMS), WEIGHTED])
@given(starting=logits, comparison=logits)
@settings(max_examples=40)
def test_terms_of_the_vocabulary_sum_to_the_token_s(name, starting, comparison):
    options = MeasureSettings(legacy_divergence="auto")
    for mine, its in (
        (starting, comparison),
        (torch.cat([starting, ANY[None] + OUT]), torch.cat([comparison, ANY[None] + OUT])),
    ):
        terms = vocabulary_terms(mine, its, name, options, (1.0, -1.0))
        assert terms.shape == mine.shape
        value = measure(mine, its, ANY, options, (1.0, -1.0))[name]
        assert float(terms.sum()) == pytest.approx(float(value), rel=1e-5, abs=1e-5)


def test_published_terms_did_not_sum():
    terms = vocabulary_terms(S, C, "kl", PLAIN, (1.0, -1.0))
    lp, lq = S.log_softmax(-1), C.log_softmax(-1)
    as_coded = lp.exp() * (S - C) - (S.logsumexp(-1) - C.logsumexp(-1))
    assert as_coded.tolist() == pytest.approx([0.4180079, -0.2259064, -0.3130507, -0.2579650], abs=1e-6)
    assert float(as_coded.sum()) == pytest.approx(-0.37891425, abs=1e-6)
    assert terms.tolist() == pytest.approx((lp.exp() * (lp - lq)).tolist(), abs=1e-7)


@pytest.mark.parametrize("name", NO_SUMS)
def test_a_measure_that_is_no_sum_has_no_terms(name):
    with pytest.raises(InputError, match=f"'{name}' is no sum over the vocabulary; use one of kl"):
        vocabulary_terms(S, C, name, PLAIN, (1.0, -1.0))


def test_tokens_that_both_models_rule_out_count_for_nothing():
    """Rows of padding in a vocabulary; underflow of probabilities to 0 counts for nothing either."""
    padded = of(torch.cat([S, ANY[None] + OUT]), torch.cat([C, ANY[None] + OUT]), renyi_order=0.97)
    assert padded == pytest.approx(of(S, C, renyi_order=0.97), abs=1e-6)
    deep = of(torch.cat([S, ANY[None] - 500.0]), torch.cat([C, ANY[None] - 400.0])) | {"centred_l1": 0.75}
    assert deep == pytest.approx(of(S, C), abs=1e-6)


def test_a_token_that_one_model_rules_out_is_an_infinity_apart():
    found = of(torch.tensor([1.0, 1, OUT]), torch.tensor([1.0, 1, 1]), renyi_order=2.0)
    assert found["kl"] == pytest.approx(math.log(1.5))
    assert found["reverse_kl"] == found["jeffreys"] == math.inf
    assert found["renyi"] == pytest.approx(math.log(1.5))
    assert found["js"] == pytest.approx(reckoned(torch.tensor([1.0, 1, -200]), torch.ones(3), 0, 0.5)["js"], abs=1e-6)
    other = of(torch.tensor([1.0, 1, 1]), torch.tensor([1.0, 1, OUT]), token=2, renyi_order=2.0)
    assert (other["kl"], other["renyi"], other["log_ratio"], other["comparison_logprob"]) == (*[math.inf] * 3, OUT)
    apart = of(torch.tensor([0.0, OUT]), torch.tensor([OUT, 0.0]))
    assert (apart["js"], apart["tv"], apart["renyi"]) == (pytest.approx(math.log(2)), 1, math.inf)


def test_a_prediction_without_numbers_is_none_and_leaves_the_others_alone():
    broken = torch.stack([S, S, S])
    broken[1, 2] = torch.nan
    found = measure(broken, torch.stack([C, C, C]), torch.zeros(3, dtype=torch.int64), PLAIN, (1.0, -1.0))
    alone = of(S, C)
    for name, values in found.items():
        assert bool(values[1].isnan()) != (name in ("comparison_logprob", "comparison_entropy")), name
        assert values[[0, 2]].tolist() == pytest.approx([alone[name]] * 2, abs=1e-6)


def test_any_shape_and_many_parts():
    """More logits than are worked on at a time; every prediction is measured by itself."""
    draw = torch.Generator().manual_seed(1)
    z, y = (3 * torch.randn(3, 5, 9000, generator=draw) for _ in range(2))
    tokens = torch.randint(9000, (3, 5), generator=draw)
    found = measure(z, y, tokens, PLAIN, (1.0, -1.0))
    for row, column in ((0, 0), (1, 4), (2, 2)):
        one = reckoned(z[row, column], y[row, column], int(tokens[row, column]), 0.5)
        assert {name: float(values[row, column]) for name, values in found.items()} == pytest.approx(one, rel=1e-3, abs=1e-4)


def test_likeliest_tokens_and_largest_terms():
    found = read(S[None], C[None], ANY[None], MeasureSettings(alternatives=2), (1.0, -1.0))
    ids, shares = found.starting_top
    assert ids.tolist() == [[0, 1]]
    assert shares[0].tolist() == pytest.approx([0.6439143, 0.2368828])
    assert found.comparison_top[1][0].tolist() == pytest.approx([0.2969227, 0.2969227])
    ids, terms = found.terms
    everything = vocabulary_terms(S, C, "kl", PLAIN, (1.0, -1.0))
    assert terms[0].tolist() == pytest.approx(sorted(everything.tolist(), reverse=True)[:2])
    assert everything[ids[0]].tolist() == pytest.approx(terms[0].tolist())
    many = read(S[None], C[None], ANY[None], MeasureSettings(alternatives=9), (1.0, -1.0))
    assert float(many.terms[1].sum()) == pytest.approx(float(many.values["kl"]))


def test_likeliest_tokens_of_a_large_vocabulary():
    draw = torch.Generator().manual_seed(3)
    z, y = (torch.randn(40, 4096, generator=draw) for _ in range(2))
    found = read(z, y, torch.zeros(40, dtype=torch.int64), PLAIN, (1.0, -1.0))
    for (ids, numbers), everything in (
        (found.starting_top, z.softmax(-1)),
        (found.comparison_top, y.softmax(-1)),
        (found.terms, vocabulary_terms(z, y, "kl", PLAIN, (1.0, -1.0))),
    ):
        expected = everything.topk(5)
        assert torch.equal(ids, expected.indices)
        assert torch.allclose(numbers, expected.values)


def test_half_precision_is_computed_in_single():
    assert of(S.bfloat16(), C.bfloat16()) == of(S, C)
