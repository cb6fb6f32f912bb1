"""Which numbers are left out: the published rule, number by number."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.cd.analysis.outliers import kept, pairs_kept

NUMBERS = st.lists(st.floats(-1e9, 1e9), max_size=60)


def test_the_furthest_from_the_median_goes():
    assert kept([1, 2, 3, 4, 100]).tolist() == [True, True, True, True, False]  # §8.6: int(4.95) = 4 stay


def test_what_is_further_than_four_deviations_goes_too():
    values = [*range(-500, 500), 1e5, 1e5 + 1]
    keep = kept(values, share=1.0)
    assert keep.sum() == 1000
    assert not keep[-2:].any()


def test_of_a_pair_both_must_stay():
    xs, ys = [1, 2, 3, 4, 100], [-100, 2, 3, 4, 5]
    assert pairs_kept(xs, ys).tolist() == [False, True, True, True, False]


def test_what_is_no_number_is_left_out_and_hides_nothing():
    assert kept([1.0, math.nan, 2.0, math.inf, 3.0], share=1.0).tolist() == [True, False, True, False, True]
    assert kept([]).tolist() == []
    assert kept([math.nan]).tolist() == [False]


@given(NUMBERS, st.floats(0.5, 1.0))
def test_so_many_stay_at_most_and_none_of_them_is_further_off_than_one_that_went_for_it(values, share):
    keep = kept(values, share)
    assert keep.sum() <= len(values)
    if keep.any() and not keep.all():
        numbers = np.array(values)
        off = np.abs(numbers - np.median(numbers))
        spread = np.abs(numbers - numbers.mean()) <= 4 * numbers.std()
        gone = ~keep & spread
        assert not gone.any() or off[gone].min() >= off[keep].max()
