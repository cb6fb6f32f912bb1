"""Curves, tables and pictures of numbers that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.data import ABItem, Message
from engine.likelihood import Likelihood
from engine.plots import Panel, csv_text, heading, png, table, terminal
from engine.statistics import bootstrap
from engine.steering.ab import _record
from engine.steering.curves import Curve, point

NAMES = ("harmful", "random, harmful", "harmless", "random, harmless")


def panel() -> Panel:
    xs = (-1.0, -0.5, 0.0, 0.5, 1.0)
    curves = tuple(
        Curve(name, tuple(point(x, {str(i): [float(i % 2), (x + 1) / 2] for i in range(8)}) for x in xs)) for name in NAMES
    )
    controls = {"random, harmful": "harmful", "random, harmless": "harmless"}
    return Panel("refuse", "multiplier", "share", curves, dict.fromkeys(NAMES, "8 prompts × 2"), "bands: 95 %", controls)


def test_a_point_is_the_mean_over_units_of_their_means():
    found = point(0.5, {"a": [1.0, 0.0], "b": [1.0]})
    assert (found.mean, found.units, found.observations) == (0.75, 2, 3)


def test_the_bootstrap_interval_is_that_of_the_mean():
    means = np.random.default_rng(1).normal(0.5, 0.1, 400)
    low, high = bootstrap(means)
    assert (low, high) == pytest.approx((means.mean() - 1.96 * 0.1 / 20, means.mean() + 1.96 * 0.1 / 20), abs=0.003)
    assert bootstrap(means) == (low, high)
    assert bootstrap(np.full(9, 0.25)) == (0.25, 0.25)


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


def test_table_heading_and_curve_fit_eighty_columns():
    for text in (table(panel()), heading(panel()), terminal(panel(), color=False)):
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text
    assert "harmless" in terminal(panel(), color=False)
    assert "\x1b" in terminal(panel(), color=True)


def test_csv_and_png_hold_every_curve():
    rows = csv_text([panel()]).splitlines()
    assert len(rows) == 1 + 4 * 5
    assert rows[1].startswith("share,harmful,-1.0,0.250000,")
    assert png([panel(), panel()])[:4] == b"\x89PNG"
