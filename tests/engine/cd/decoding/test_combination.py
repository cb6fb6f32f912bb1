"""Two distributions made one: the numbers of specs/contrastive_decoding.md §8.2 and §8.3, and what must hold for any logits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.cd.decoding.combination import combine
from engine.cd.options import check_combination
from engine.cd.settings import CombinationSettings
from engine.errors import InputError
from engine.sampling import Sampling, candidates

S, C = torch.tensor([2.0, 1, 0, -1]), torch.tensor([1.0, 1, 1, 0])  # §8.2
EXPERT, AMATEUR = torch.tensor([3, 2.5, 1, -2, 0]), torch.tensor([3.0, 1, 1, -3, 0])  # §8.3
OUT = -torch.inf
logits = st.lists(st.floats(-30, 30, width=32), min_size=7, max_size=7).map(torch.tensor)


def difference(starting: float, comparison: float, **options) -> CombinationSettings:
    return CombinationSettings(rule="prob_difference", starting_weight=starting, comparison_weight=comparison, **options)


def shares(starting: Tensor, comparison: Tensor, how: CombinationSettings) -> list[float]:
    return combine(starting, comparison, how).softmax(-1).tolist()


@pytest.mark.parametrize(
    ("weights", "options", "expected"),
    [
        ((1, -1), {}, [0.9999991, 3e-7, 3e-7, 3e-7]),
        ((-1, 1), {}, [3e-7, 0.1730300, 0.6045631, 0.2224065]),
        ((-1, 1), {"limit_top_p": 0.8}, [1.7e-6, 0.9999983, 0, 0]),
        ((-1, 1), {"limit_top_p": 0.9}, [4e-7, 0.2225199, 0.7774797, 0]),
        ((1, 1), {}, [0.4704185, 0.2669028, 0.1920335, 0.0706452]),
        ((1, -1), {"gate": 2.0}, [0.7973841, 0.2026156, 1e-7, 1e-7]),
    ],
)
def test_published_difference_of_probabilities(weights, options, expected):
    assert shares(S, C, difference(*weights, floor=1e-7, **options)) == pytest.approx(expected, rel=1e-6, abs=4e-7)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1, -1), [-1.0584547, -16.1180957, -16.1180957, -16.1180957]),
        ((-1, 1), [-16.1180957, -2.8127439, -1.5617030, -2.5617021]),
    ],
)
def test_published_logits_of_the_difference(weights, expected):
    assert combine(S, C, difference(*weights, floor=1e-7)).tolist() == pytest.approx(expected, abs=2e-6)


def test_temperature_and_nucleus_come_after_the_combination():
    gated = combine(S[None], C[None], difference(1, -1, floor=1e-7, gate=2.0))
    kept, _ = candidates(gated, Sampling(1, temperature=0.6, top_p=0.95))
    assert kept.softmax(-1)[0].tolist() == pytest.approx([0.9074909, 0.0925091, 0, 0], abs=1e-6)


def test_equal_models_gave_noise_and_now_give_the_model():
    assert shares(S, S, difference(1, -1, floor=1e-7)) == pytest.approx([0.25] * 4)
    for how in (difference(1, -1), difference(1, -1, floor=1e-7, gate=2.0), difference(-1, 1)):
        assert shares(S, S, how) == pytest.approx(S.softmax(-1).tolist(), abs=4e-7)
    assert shares(S, S, difference(1, -1, limit_top_p=0.7)) == pytest.approx([0.7310586, 0.2689414, 0, 0])


def test_differences_far_below_the_floor_keep_their_digits():
    p, q = torch.tensor([0.6, 0.4 - 3e-6, 3e-6]), torch.tensor([0.6, 0.4 - 1e-6, 1e-6])
    assert combine(p.log(), q.log(), difference(1, -1)).exp().tolist() == pytest.approx([0, 0, 2e-6], rel=1e-2, abs=1e-7)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [-0.3070386, 1.1929614, -0.3070386, OUT, OUT]),
        ({"amateur_temperature": 0.5, "renormalise": False}, [-0.0271847, 3.4728153, 1.9728153, OUT, OUT]),
        ({"amateur_temperature": 0.5}, [-0.5485218, 2.9514782, 1.4514782, OUT, OUT]),
    ],
)
def test_difference_of_log_probabilities(options, expected):
    assert combine(EXPERT, AMATEUR, CombinationSettings(**options)).tolist() == pytest.approx(expected, abs=1e-6)
    mirrored = CombinationSettings(starting_weight=-1, comparison_weight=1, **options)
    assert combine(AMATEUR, EXPERT, mirrored).tolist() == pytest.approx(expected, abs=1e-6)


def test_shares_of_the_published_sampling():
    how = CombinationSettings(amateur_temperature=0.5, renormalise=False)
    assert shares(EXPERT, AMATEUR, how) == pytest.approx([0.0240938, 0.7978760, 0.1780302, 0, 0], abs=1e-6)


def test_logit_form_is_the_same_up_to_a_constant():
    """(1 + b)·z_E − b·z_A with b = 0.5 under the mask of §8.3: [3, 3.25, 1]."""
    found = combine(EXPERT, AMATEUR, CombinationSettings(starting_weight=1.5, comparison_weight=-0.5))
    assert (found - found[0] + 3)[:3].tolist() == pytest.approx([3, 3.25, 1], abs=1e-5)


def test_without_the_mask_the_likeliest_is_absurd():
    """What the published greedy search does (§8.3): token 3, which the expert gives 0.0037."""
    bare = combine(EXPERT, AMATEUR, CombinationSettings(amateur_temperature=0.5, mask=0))
    assert (bare - bare[0] - 3).tolist() == pytest.approx([-3, 0.5, -1, 4, 0], abs=1e-5)
    assert bare.argmax() == 3
    assert combine(EXPERT, AMATEUR, CombinationSettings(amateur_temperature=0.5)).argmax() == 1


def test_the_mask_keeps_as_many_as_beams_need_and_all_ties():
    peaked, level = torch.tensor([10.0, 0, 0, 0, -1]), torch.zeros(5)
    assert combine(peaked, level, CombinationSettings()).isfinite().tolist() == [True, False, False, False, False]
    assert combine(peaked, level, CombinationSettings(), keep=2).isfinite().tolist() == [True, True, True, True, False]


@given(starting=logits, comparison=logits)
def test_starting_model_alone_is_itself(starting, comparison):
    alone = starting.log_softmax(-1)
    assert torch.equal(combine(starting, comparison, difference(1, 0)), alone)
    assert torch.equal(combine(starting, comparison, CombinationSettings(rule="none")), alone)
    assert torch.equal(combine(starting, comparison, CombinationSettings(comparison_weight=0, mask=0)), alone)
    other = CombinationSettings(rule="none", starting_weight=-1, comparison_weight=1)
    assert torch.equal(combine(starting, comparison, other), comparison.log_softmax(-1))


@given(starting=logits, comparison=logits, mask=st.floats(0.001, 1))
def test_amateur_of_weight_0_leaves_the_masked_expert(starting, comparison, mask):
    found = combine(starting, comparison, CombinationSettings(comparison_weight=0, mask=mask))
    p = starting.softmax(-1)
    kept = found.isfinite()
    assert torch.equal(found[kept], starting.log_softmax(-1)[kept])
    assert found.amax() == starting.log_softmax(-1).amax()
    sure = (p / p.max() - mask).abs() > 1e-4
    assert torch.equal(kept[sure], (p >= mask * p.max())[sure])


@given(starting=logits, comparison=logits)
def test_mask_of_1_leaves_the_expert_s_best_and_of_0_nothing_out(starting, comparison):
    best = combine(starting, comparison, CombinationSettings(mask=1)).isfinite()
    assert torch.equal(best, starting.log_softmax(-1) == starting.log_softmax(-1).max())
    for mask in (0, 1e-37):
        assert combine(starting, comparison, CombinationSettings(mask=mask)).isfinite().all()


@given(starting=logits, comparison=logits, ours=st.floats(-3, 3, width=32), its=st.floats(-3, 3, width=32))
@settings(max_examples=200)
def test_difference_in_log_space_is_the_difference(starting, comparison, ours, its):
    if max(ours, its) <= 0:
        return
    found = combine(starting, comparison, difference(ours, its)).double().exp()
    p, q = starting.double().softmax(-1), comparison.double().softmax(-1)
    expected = (ours * p + its * q).clamp(min=0)
    if expected.sum() < 1e-4:  # nothing, or rounding: S alone
        return
    assert found.tolist() == pytest.approx(expected.tolist(), abs=3e-5)


@given(starting=logits, comparison=logits, constant=st.floats(-50, 50, width=32))
def test_constants_on_logits_change_nothing(starting, comparison, constant):
    moved = starting + constant, comparison - constant
    how = difference(1, -1, floor=1e-7)
    assert torch.allclose(combine(*moved, how).exp(), combine(starting, comparison, how).exp(), atol=1e-4)
    how = CombinationSettings(mask=0)
    assert torch.allclose(combine(*moved, how), combine(starting, comparison, how), atol=1e-3)


@pytest.mark.parametrize("how", [difference(1, -1), CombinationSettings(), CombinationSettings(comparison_weight=0)])
def test_tokens_that_a_model_rules_out(how):
    """Padding of a vocabulary, ruled out by both, is never taken; nor is what only the amateur rules out, which would be worth
    an infinity to the difference of logarithms."""
    padded = torch.tensor([2.0, 1, 0, OUT]), torch.tensor([1.0, 1, 1, OUT])
    found = combine(*padded, how)
    assert found[3] == OUT
    assert not found.isnan().any()
    assert found[:3].softmax(-1).tolist() == pytest.approx(combine(padded[0][:3], padded[1][:3], how).softmax(-1).tolist())


def test_where_the_amateur_rules_all_of_it_out_the_expert_decides():
    found = combine(torch.tensor([5.0, 1, 0]), torch.tensor([OUT, 1, 1]), CombinationSettings())
    assert found.softmax(-1).tolist() == [1, 0, 0]
    one = combine(torch.tensor([5.0, 4.5, 0]), torch.tensor([OUT, 1, 1]), CombinationSettings())
    assert one.softmax(-1).tolist() == [0, 1, 0]


@pytest.mark.parametrize("how", [difference(1, -1), difference(1, -1, floor=1e-7, gate=1.0), CombinationSettings(),
                                 CombinationSettings(comparison_weight=0), CombinationSettings(rule="none")])  # fmt: skip
@pytest.mark.parametrize("fault", [torch.nan, torch.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_logits_that_are_no_numbers_make_none(how, fault, side):
    """Whichever model gives them; the other rows are as without."""
    pair = [torch.stack([S, S]), torch.stack([C, C])]
    pair[side][0, 2] = fault
    found = combine(pair[0], pair[1], how)
    assert found[0].isnan().all()
    assert torch.equal(found[1], combine(S, C, how))


def test_half_precision_is_computed_in_single():
    half = S.bfloat16(), C.bfloat16()
    for how in (difference(1, -1, floor=1e-7), CombinationSettings()):
        found = combine(*half, how)
        assert found.dtype == torch.float32
        assert torch.equal(found, combine(S, C, how))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (CombinationSettings(comparison_weight=0.5), "one model with a positive weight.*--comparison-weight 0.5"),
        (CombinationSettings(rule="none", starting_weight=0), "Rule none needs one model with a positive weight"),
        (difference(0, -1), "no token has a positive weight"),
    ],
)
def test_weights_without_meaning_are_refused(how, words):
    with pytest.raises(InputError, match=words):
        check_combination(how)


def test_the_mask_is_relative_to_the_likeliest():
    found = combine(torch.tensor([0.5, 0.1, 0.049, 0.351]).log(), torch.zeros(4), CombinationSettings(mask=0.1))
    assert found.isfinite().tolist() == [True, True, False, True]
    assert found[0] == pytest.approx(math.log(0.5) + math.log(4), abs=1e-6)
