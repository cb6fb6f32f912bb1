"""What the letters of an A/B item are worth, mixed over what may be said before them."""

from __future__ import annotations

import math

import pytest

from engine.data import ABItem, Message
from engine.likelihood import Likelihood
from engine.steering.ab import _record


def test_lead_ins_are_mixed_by_their_own_probability():
    item = ABItem("i", (Message("user", "?"),), "B", ("Yes,", "No,"), (" A", " B"))
    leads = [
        Likelihood(math.log(0.6), (math.log(0.1), math.log(0.7))),
        Likelihood(math.log(0.2), (math.log(0.5), math.log(0.3))),
    ]
    found = _record(item, leads)
    assert found["lead_in_weights"] == pytest.approx([0.75, 0.25])
    assert (found["p_a"], found["p_b"]) == pytest.approx((0.75 * 0.1 + 0.25 * 0.5, 0.75 * 0.7 + 0.25 * 0.3))
    assert found["p_matching"] == pytest.approx(0.6 / (0.2 + 0.6))
