"""Settings keys: what may and what must change them."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.settings import StepSettings, canonical_json, option
from engine.steering.figures.settings import PlotSettings, ReportSettings
from engine.steering.settings import ApplySettings, ScoreSettings, VectorSettings

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))
INPUTS = {"model": "m", "data": "d"}


class Sweep(StepSettings):
    step: ClassVar[str] = "test"

    strength: float = option(1.0, "a number")
    points: tuple[float, ...] = option((0.0, 1.0), "an axis", axis=True)
    batch: int = option(8, "rows", affects_result=False)


class SweepLater(Sweep):
    """The same step after a release that added a field."""

    extra: int = option(0, "neutral by default")


def keys(settings: StepSettings) -> list[str]:
    return [cell.key(**INPUTS) for cell in settings.cells()]


@given(st.integers(-(10**9), 10**9))
def test_integers_and_floats_of_one_value_agree(value):
    assert canonical_json(value) == canonical_json(float(value))


@given(numbers)
def test_rounding_noise_does_not_change_a_number(value):
    assert canonical_json(value) == canonical_json(value * (1 + 2.0**-52))


@given(numbers, numbers)
def test_different_numbers_differ(a, b):
    assert (canonical_json(a) == canonical_json(b)) == (a == b)


def test_sums_of_decimals_agree_with_what_was_meant():
    assert canonical_json(0.1 + 0.2) == canonical_json(0.3) == "0.3"
    assert canonical_json(-0.0) == canonical_json(0) == "0"


def test_numbers_booleans_and_texts_are_told_apart():
    assert len({canonical_json(value) for value in (1, True, "1", None, [1])}) == 5


@given(st.lists(numbers, unique=True, min_size=1, max_size=6), numbers)
def test_adding_a_point_orphans_no_cell(points, more):
    before = keys(Sweep(points=tuple(points)))
    after = keys(Sweep(points=(*points, more)))
    assert after[: len(before)] == before


@given(st.lists(numbers, unique=True, min_size=2, max_size=6))
def test_cells_have_keys_of_their_own(points):
    assert len(set(keys(Sweep(points=tuple(points))))) == len(points)


def test_a_cell_is_the_same_in_any_sweep_even_the_default_one():
    assert keys(Sweep())[1] == keys(Sweep(points=(5.0, 1.0)))[1] == keys(Sweep(points=(1.0,)))[0]


def test_fields_that_do_not_affect_the_result_are_not_in_the_key():
    assert Sweep(batch=1).key(**INPUTS) == Sweep(batch=512).key(**INPUTS)


def test_a_new_field_with_a_neutral_default_orphans_nothing():
    assert SweepLater().key(**INPUTS) == Sweep().key(**INPUTS)
    assert SweepLater(extra=1).key(**INPUTS) != Sweep().key(**INPUTS)


@pytest.mark.parametrize("change", [{"model": "other"}, {"data": "other"}, {"vectors": "v"}])
def test_other_inputs_are_another_key(change):
    assert Sweep().key(**INPUTS | change) != Sweep().key(**INPUTS)


def test_another_version_is_another_key(monkeypatch):
    before = Sweep().key(**INPUTS)
    monkeypatch.setattr(Sweep, "VERSION", 2)
    assert Sweep().key(**INPUTS) != before


def test_keys_do_not_depend_on_the_process():
    code = (
        "from engine.steering.settings import ApplySettings as A;"
        "print([c.key(model='m', data='d') for c in A(layer=(2,)).cells()])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{keys(ApplySettings(layer=(2,)))}\n"}


def test_settings_are_frozen_and_refuse_unknown_fields_and_nan():
    with pytest.raises(ValidationError):
        Sweep().strength = 2.0  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Sweep(strenght=2.0)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Sweep(strength=float("nan"))


def test_a_later_step_names_the_vectors_and_cells_of_the_earlier_ones():
    score = ScoreSettings(behavior="refuse", layer=(1,), judge="other", batch_size=3)
    assert score.vector_settings().key(**INPUTS) == VectorSettings(behavior="refuse").key(**INPUTS)
    assert keys(score.apply_settings()) == keys(ApplySettings(behavior="refuse", layer=(1,)))


def test_more_samples_and_fewer_items_stay_in_their_cells():
    assert keys(ApplySettings(samples=9, limit=3, questions=("ab",))) == keys(ApplySettings())


def test_control_seeds_count_only_for_random_controls():
    assert len(keys(ApplySettings(multipliers=(1,), control_seed=(0, 1)))) == 1
    random = keys(ApplySettings(multipliers=(1,), control="random", control_seed=(0, 1)))
    assert len({*random, *keys(ApplySettings(multipliers=(1,)))}) == 3


def test_a_report_is_its_behaviours_plots():
    plots = ReportSettings(behaviors=("agree", "refuse"), layer=(1,), samples=2).each()
    assert plots == [PlotSettings(behavior=b, layer=(1,), samples=2) for b in ("agree", "refuse")]
