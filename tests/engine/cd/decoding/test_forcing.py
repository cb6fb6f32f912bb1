"""Texts from anywhere are measured as those are that two models write themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.cd.decoding import forcing
from engine.cd.decoding.forcing import score
from engine.cd.decoding.loop import PairRow, decode
from engine.cd.pairs.pair import Member, Pair, PairPrompt
from engine.cd.settings import MeasureSettings, TextSettings
from engine.errors import EngineError, InputError
from engine.families import Site
from engine.forward import Steering
from engine.positions import PositionRule
from tests.engine.cd.small_pairs import (
    GPT2,
    LLAMA,
    PROMPTS,
    assert_numbers,
    assert_same,
    own_predictions,
    pair_of,
    predictions,
    small,
)

MEASURED = MeasureSettings(measure_prompt=True)
TEXTS = [(9, 8, 7, 6, 5, 4, 3, 2), (), (63,), (5, 5, 5, 5, 40, 41, 42, 43, 44, 45, 46, 47, 48), (1, 2, 3)]
ROWS = [(asked, text) for asked in PROMPTS for text in TEXTS]


@pytest.fixture(scope="module")
def pair(parity) -> Pair:
    return pair_of(small(parity, LLAMA, 0), small(parity, GPT2, 2))


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("part", [1, 64 * 10, 2**24], ids=["column by column", "some columns", "at once"])
def test_texts_of_all_lengths_in_batches(pair, batch_size, part, monkeypatch):
    monkeypatch.setattr(forcing, "_PART", part)
    settings = MEASURED.model_copy(update={"batch_size": batch_size})
    found = {index: (generated, own) for index, generated, own in score(pair, ROWS, settings)}
    assert sorted(found) == list(range(len(ROWS)))
    for index, (asked, text) in enumerate(ROWS):
        generated, own = found[index]
        assert_numbers(generated, predictions(pair, asked, text), text)
        assert own is not None
        assert_numbers(own, own_predictions(pair, asked), asked.starting[len(asked.starting) - asked.shared + 1 :])


@pytest.mark.parametrize("rule", ["all", "before", "completion", "generated", "legacy_before", "legacy_after"])
def test_what_was_found_on_the_way_is_found_again(pair, rule: PositionRule):
    """Of a steered model too: positions go by the prompt, whether it is the text's or the text itself."""
    steered = Member(pair.starting.model, Steering([{Site(1): torch.linspace(-20, 20, 32)}], rule))
    both = Pair(steered, pair.comparison, 64, "steered")
    settings = TextSettings(max_new_tokens=8, measure_prompt=True, legacy_divergence="auto", batch_size=4)
    written = dict(decode(both, [PairRow(asked, seed) for seed, asked in enumerate(PROMPTS)], settings))
    rows = [(asked, written[index].ids) for index, asked in enumerate(PROMPTS)]
    for index, generated, own in score(both, rows, settings, (settings.starting_weight, settings.comparison_weight)):
        expected = written[index]
        assert_same(generated, expected.generated)
        assert own is not None
        assert expected.prompt is not None
        assert_same(own, expected.prompt)


def test_where_steering_starts_in_the_prompt_its_numbers_show_it(pair):
    def own_kl(rule: PositionRule) -> np.ndarray:
        steered = Member(pair.starting.model, Steering([{Site(1): torch.linspace(-20, 20, 32)}], rule))
        ((_, _, own),) = score(Pair(steered, pair.starting, 64, "steered"), [(PROMPTS[0], (9, 9))], MEASURED)
        assert own is not None
        return own.values["kl"]

    assert own_kl("completion") == pytest.approx(0, abs=1e-6)  # positions from L − 1 on predict what stands behind the prompt
    assert own_kl("all").min() > 1e-3


def test_prompts_are_measured_where_that_is_asked_for(pair):
    assert [own for _, _, own in score(pair, ROWS[:3], MeasureSettings())] == [None] * 3


def test_texts_longer_than_the_models_are_refused_before_anything_runs(pair):
    with pytest.raises(InputError, match=r"97 tokens, but llama 0 has 96 positions; shorten the prompts or the texts"):
        next(score(pair, [*ROWS, (PairPrompt((1, 2), (2,), 1), (3,) * 95)], MEASURED))


def test_logits_that_are_no_numbers_are_no_measures(pair):
    broken = Member(pair.comparison.model, Steering([{Site(1): torch.full((32,), torch.nan)}], "completion"))
    with pytest.raises(EngineError, match=f"{broken.model.name} gives NaN or infinite logits"):
        list(score(Pair(pair.starting, broken, 64, "broken"), ROWS, MeasureSettings()))
