"""Estimates with intervals: what a terminal of 80 columns shows, what the CSV says, and that names cannot break a picture."""

from __future__ import annotations

import csv
import io

import pytest

from engine.plots.estimates import Estimate, EstimatePicture


def picture(*estimates: Estimate, marks: tuple[float, ...] = ()) -> EstimatePicture:
    return EstimatePicture("What was found", "effect", "95 % intervals", estimates, ("surely", "perhaps"), marks)


ONE = Estimate("the first claim", 0.5, 0.25, 1.0, "surely", "p 0.01")
OTHER = Estimate("another claim, on the other side", -0.5, -1.0, 0.0, "perhaps")


def test_the_line_of_an_interval_lies_where_its_numbers_are():
    drawn = picture(ONE, OTHER).text(82, color=False).splitlines()  # 80 columns for −1 to 1, 0 in their middle
    first = next(line for line in drawn if "▶" in line or "├" in line)
    assert [first.index(sign) - 2 for sign in "│├●┤"] == [40, 49, 59, 79]
    second = [line for line in drawn if "├" in line][1]
    assert [second.index(sign) - 2 for sign in "├▲┤"] == [0, 20, 40]
    assert any("+0.50 [+0.25, +1.00]  ● surely  p 0.01" in line for line in drawn)


def test_lines_fit_the_terminal():
    text = picture(Estimate("a word " * 40, 3.0, -2.0, 9.0, "surely"), OTHER).text(80, color=False)
    assert max(map(len, text.splitlines())) <= 80


def test_the_axis_holds_zero_intervals_and_marks():
    assert picture(ONE).limits() == (0.0, 1.0)
    assert picture(ONE, marks=(1.5,)).limits() == (0.0, 1.5)
    assert picture(Estimate("nothing", 0.0, 0.0, 0.0, "surely")).limits() == (0.0, 1.0)


def test_numbers_are_all_in_the_csv():
    rows = list(csv.DictReader(io.StringIO(picture(ONE, OTHER).numbers())))
    assert [(row["name"], float(row["low"]), row["group"]) for row in rows] == [
        ("the first claim", 0.25, "surely"),
        ("another claim, on the other side", -1.0, "perhaps"),
    ]


@pytest.mark.parametrize("name", ["$x_1$ & <b> \x1b[31m", "a\nline", ""])
def test_names_of_any_kind_are_drawn_the_same_way_twice(name):
    drawn = picture(Estimate(name, 0.1, 0.0, 0.2, "surely"), OTHER)
    assert "\x1b" not in drawn.text(80, color=False)
    files = drawn.drawn()
    assert files["png"].startswith(b"\x89PNG")
    assert b"\x1b" not in files["svg"]
    assert drawn.drawn() == files
