"""The form of a run file: what may be typed, what is wrong with it, and what `build` gets."""

from pathlib import Path

import pytest

from tui.models.launch import Form, find_run_files

SOURCE = '''"""Sweeps layers.

More that the form leaves out."""
from typing import Literal

def build(model: str, layers: tuple[int, ...] = (10, 11), rate: float = 0.5, judge: Literal["a", "b"] = "a",
          note: str | None = None):
    """
    layers: which are steered
    """
    raise SystemExit("looking at a run file must not run it")
'''


@pytest.fixture
def form(tmp_path: Path) -> Form:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "sweep.py").write_text(SOURCE)
    (found,) = find_run_files(tmp_path)
    assert found.run_file is not None
    return Form(found.run_file)


def test_fields_begin_with_the_defaults(form: Form) -> None:
    assert {entry.parameter.name: entry.text for entry in form.fields} == {
        "model": "",
        "layers": "10 11",
        "rate": "0.5",
        "judge": "a",
        "note": "",
    }


def test_each_field_says_what_it_may_be(form: Form) -> None:
    assert [entry.hint for entry in form.fields] == ["text", "several whole numbers", "number", "a or b", "text, or nothing"]
    assert form.fields[1].description == "which are steered"
    assert form.summary == "Sweeps layers."


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("model", " ", "needs a value"),
        ("layers", "10 x", "'x' is not a whole number"),
        ("rate", "fast", "'fast' is not a number"),
        ("judge", "c", "'c' is not one of a, b"),
        ("judge", "b", ""),
        ("note", "", ""),
    ],
)
def test_a_wrong_value_is_told_by_field(form: Form, name: str, text: str, problem: str) -> None:
    field = next(entry for entry in form.fields if entry.parameter.name == name)
    field.text = text
    assert field.problem == problem


def test_the_values_are_what_build_gets(form: Form) -> None:
    form.fields[0].text = "demo"
    form.fields[1].text = "3, 4"
    assert not form.problems
    assert form.values() == {"model": "demo", "layers": (3, 4), "rate": 0.5, "judge": "a", "note": None}


def test_files_are_newest_first_and_a_broken_one_says_why(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    for name, source in (("20260101_a", SOURCE), ("20260102_b", "def build(:"), ("_hidden", ""), ("20260103_c", "x = 1")):
        (tmp_path / "runs" / f"{name}.py").write_text(source)
    found = find_run_files(tmp_path)
    assert [file.path.stem for file in found] == ["20260103_c", "20260102_b", "20260101_a"]
    assert "neither a function build" in found[0].problem
    assert "not valid Python" in found[1].problem
    assert found[2].headline == "Sweeps layers."
