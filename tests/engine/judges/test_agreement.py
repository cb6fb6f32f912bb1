"""How far two judges, or two orders of a pair, say the same: the published arithmetic, on numbers worked out by hand."""

from __future__ import annotations

import pytest

from engine.judges.agreement import agreement, first_shown, order_consistency
from engine.judges.verdict import TIE, UNPARSED, Verdict
from engine.statistics import share_of


def said(value: float | None) -> Verdict:
    """Of a choice or a pair."""
    return Verdict(value, UNPARSED if value is None else TIE if value == 0.5 else "yes" if value > 0.5 else "no", None)


def test_kappa_is_cohens():
    one, other = ([said(value) for value in row] for row in ([1, 1, 1, 1, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 0, 0, 1, 1, 0]))
    found = agreement(one, other, ordinal=False)
    assert found is not None
    assert (found.n, found.same) == (10, 0.8)
    assert found.kappa == pytest.approx((0.8 - 0.5) / 0.5)


def test_kappa_of_scales_weighs_by_the_square_of_the_distance():
    one, other = ([Verdict(value, "scored", None) for value in row] for row in ([0.0, 5.0, 10.0, 9.7], [1.0, 5.0, 10.0, 10.2]))
    found = agreement(one, other, ordinal=True)
    assert found is not None
    assert found.kappa == pytest.approx(1 - (1 / 4) / (504 / 16))  # observed by expected squared distance


def test_kappa_without_variety_is_undefined_and_what_was_not_answered_is_left_out():
    found = agreement([said(1.0)] * 3 + [said(None)], [said(1.0)] * 4, ordinal=False)
    assert found is not None
    assert (found.kappa, found.same, found.n) == (None, 1.0, 3)
    assert agreement([said(None)], [said(1.0)], ordinal=False) is None


def test_order_effects_are_counted_among_decided_pairs():
    ab, ba = "ab", "ba"
    first = first_shown([(ab, said(1.0)), (ba, said(0.0)), (ab, said(0.0)), (ba, said(0.5)), (ab, said(None))])
    assert (first.count, first.total) == (2, 3)
    kept = order_consistency([(said(1.0), said(1.0)), (said(1.0), said(0.0)), (said(0.5), said(0.5)), (said(None), said(1.0))])
    assert (kept.count, kept.total) == (2, 3)


@pytest.mark.parametrize(("count", "total", "low", "high"), [(0, 10, 0, 0.2775), (24, 24, 0.8620, 1), (5, 10, 0.2366, 0.7634)])
def test_shares_have_wilson_intervals(count, total, low, high):
    share = share_of(count, total)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-4)
