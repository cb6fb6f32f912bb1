"""Tables that fit a terminal: nothing is lost, nothing is wider than it must be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.text_table import text_table

_words = st.text("ab", min_size=1, max_size=12)


@given(st.integers(1, 4).flatmap(lambda rows: st.lists(st.lists(_words, min_size=rows + 1, max_size=rows + 1), min_size=2)))
def test_every_cell_stands_in_its_row_and_no_line_is_longer_than_the_terminal(columns):
    names, *others = [(heading, cells) for heading, *cells in columns]
    parts = text_table(names, others, width=30).split("\n\n")
    assert all(len(line) <= 30 for part in parts for line in part.splitlines())
    for row, name in enumerate((names[0], *names[1])):
        words = [part.splitlines()[row].split() for part in parts]
        assert all(line[0] == name for line in words)
        assert [word for line in words for word in line[1:]] == [(heading, *cells)[row] for heading, cells in others]


def test_numbers_stand_below_each_other_and_a_wide_column_below_the_rest():
    table = text_table(("", ["one", "two"]), [("n", ["5", "12"]), ("what", ["x", "y" * 20])], numbers=True, width=20)
    assert table.splitlines() == [
        *("      n", "one   5", "two  12", ""),
        *("                     what", "one                     x", f"two  {'y' * 20}"),
    ]
