"""The tree of a graph: every task once, under what it needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.models.tree import tree


@pytest.mark.parametrize(
    ("after", "drawn"),
    [
        ({}, []),
        ({"a": [], "b": []}, ["a", "b"]),
        ({"a": [], "b": ["a"], "c": ["b"]}, ["a", "└─ b", "   └─ c"]),
        ({"a": [], "b": ["a"], "c": ["a"]}, ["a", "├─ b", "└─ c"]),
        (
            {"v": [], "a1": ["v"], "s1": ["a1"], "a2": ["v"], "s2": ["a2"], "report": ["s1", "s2"]},
            ["v", "├─ a1", "│  └─ s1", "├─ a2", "│  └─ s2", "└─ report"],
        ),
        ({"late": ["early"], "early": []}, ["early", "└─ late"]),
        ({"a": [], "b": [], "both": ["a", "b"]}, ["a", "b", "both"]),
    ],
)
def test_tasks_hang_under_what_all_their_needs_lead_through(after: dict[str, list[str]], drawn: list[str]) -> None:
    assert [prefix + name for name, prefix in tree(after)] == drawn


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    size = draw(st.integers(0, 30))
    names = [f"t{number}" for number in range(size)]
    return {name: draw(st.lists(st.sampled_from(names[:at]), max_size=4)) if at else [] for at, name in enumerate(names)}


@given(graphs())
def test_every_task_is_drawn_once(after: dict[str, list[str]]) -> None:
    assert sorted(name for name, _ in tree(after)) == sorted(after)


def test_a_deep_chain_keeps_its_names_on_the_screen() -> None:
    chain = {f"t{n}": [f"t{n - 1}"] if n else [] for n in range(500)}
    assert max(len(prefix) for _, prefix in tree(chain)) < 30
