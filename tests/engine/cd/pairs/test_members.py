"""Two members as they may differ: a persona on one load, a steered one, quantised ones, one with more rows of embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.cd.decoding.forcing import score
from engine.cd.decoding.loop import PairCompletion, PairRow, decode
from engine.cd.decoding.numbers import TokenNumbers
from engine.cd.pairs.opening import open_pair, pair_source
from engine.cd.pairs.pair import Pair
from engine.cd.prompts.asked import asked_prompt, encode
from engine.cd.settings import TextSettings
from engine.forward import Steering
from engine.generation import Row, generate
from engine.models import load
from engine.sampling import Sampling
from engine.steering.vectors import mean_differences
from engine.store import save_tensors

QUESTIONS = ["Tell me about apples, a kind of food.", "Hello", "What can you say of moles, a kind of animal?"]
LAYER = 2


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Path:
    """Vectors from rude to polite questions, in a file as `tiller steer` writes it."""
    from engine.chats import encode_chat
    from engine.demo.data import contrast_pairs
    from engine.families import Site

    model = load("demo")
    pairs = contrast_pairs("polite", n=12)
    sides = zip(*((pair.positive, pair.negative) for pair in pairs), strict=True)
    positive, negative = ([encode_chat(model.tokenizer, chat).ids for chat in side] for side in sides)
    found = mean_differences(model, positive, negative, [Site(LAYER)])[Site(LAYER)]
    path = tmp_path_factory.mktemp("vectors") / "polite.safetensors"
    header = {"hidden_size": model.hidden_size, "norms": {f"stream.{LAYER}": float(found.vector.norm())}, "shuffled": 0}
    save_tensors(path, {f"stream.{LAYER}": found.vector}, header | {"choice": {"layer": LAYER}})
    return path


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))


def wanted(**options: Any) -> TextSettings:
    return TextSettings(**({"max_new_tokens": 10} | options))


def opened(settings: TextSettings) -> Pair:
    return open_pair(pair_source(settings), settings)


def rows(pair: Pair, settings: TextSettings, samples: int = 2) -> list[PairRow]:
    encoded = [encode(pair, asked_prompt(question), settings) for question in QUESTIONS]
    return [PairRow(prompt, 10 * place + sample) for place, prompt in enumerate(encoded) for sample in range(samples)]


def texts(pair: Pair, settings: TextSettings, use_cache: bool = True) -> list[PairCompletion]:
    asked = rows(pair, settings)
    found = dict(decode(pair, asked, settings, use_cache))
    return [found[index] for index in range(len(asked))]


def ids(completions: list[PairCompletion]) -> list[tuple[int, ...]]:
    return [one.ids for one in completions]


def close(one: TokenNumbers, other: TokenNumbers, tolerance: float = 1e-4) -> None:
    for name, values in one.values.items():
        np.testing.assert_allclose(values, other.values[name], atol=tolerance, rtol=1e-3, err_msg=name)


def forced(pair: Pair, settings: TextSettings, completions: list[PairCompletion]) -> list[TokenNumbers]:
    asked = rows(pair, settings)
    pairs = [(row.prompt, one.ids) for row, one in zip(asked, completions, strict=True)]
    found = {index: numbers for index, numbers, _ in score(pair, pairs, settings)}
    return [found[index] for index in range(len(asked))]


MEMBERS: dict[str, dict[str, Any]] = {
    "persona": {"comparison": "demo", "starting_prefix": "Answer rudely."},
    "two personas": {
        "comparison": "demo",
        "starting_prefix": "Answer rudely.",
        "comparison_prefix": "You are asked to be kind.",
    },
    "text": {"form": "text", "comparison": "demo", "comparison_prefix": "It is said of all things:"},
    "last token": {"comparison_context": "last_token"},
    "steered": {"steered": "starting", "multiplier": 3.0},
    "steered from the prompt on": {"steered": "comparison", "multiplier": -2.0, "positions": "all"},
    "persona against steering": {"comparison": "demo", "starting_prefix": "Answer rudely.", "steered": "comparison"},
    "mixed": {"interpolate": 0.3, "starting_weight": -1.0, "comparison_weight": 1.0},
}


@pytest.mark.parametrize("options", MEMBERS.values(), ids=MEMBERS.keys())
@pytest.mark.parametrize("rule", ["logprob_difference", "prob_difference"])
def test_a_text_and_its_numbers_depend_neither_on_the_batch_nor_on_the_cache(vectors, options, rule):
    if "steered" in options:
        options = options | {"vectors_file": str(vectors)}
    settings = wanted(rule=rule, **options)
    pair = opened(settings)
    together = texts(pair, settings)
    assert len({*ids(together)}) > 2
    for settings_, use_cache in ((settings.model_copy(update={"batch_size": 1}), True), (settings, False)):
        again = texts(pair, settings_, use_cache)
        assert ids(again) == ids(together)
        for one, other in zip(again, together, strict=True):
            close(one.generated, other.generated)
    for numbers, one in zip(forced(pair, settings, together), together, strict=True):
        close(numbers, one.generated)


# --- private prefixes ---


def test_a_persona_on_one_load_changes_one_member_only():
    plain, persona = wanted(comparison="demo"), wanted(comparison="demo", starting_prefix="Answer rudely.")
    pair = opened(persona)
    assert pair.starting.model is pair.comparison.model
    written = texts(pair, persona)
    with_persona, without = forced(pair, persona, written), forced(pair, plain, written)
    for one, other in zip(with_persona, without, strict=True):
        np.testing.assert_allclose(one.values["comparison_logprob"], other.values["comparison_logprob"], atol=1e-4)
        np.testing.assert_allclose(other.values["kl"], 0, atol=1e-5)
        assert one.values["kl"].max() > 1e-3


def test_what_one_member_alone_says_does_not_depend_on_the_prefix_of_the_other():
    alone = {"rule": "none", "starting_weight": -1.0, "comparison_weight": 1.0, "comparison": "demo"}
    plain, persona = wanted(**alone), wanted(starting_prefix="Answer rudely.", **alone)
    pair = opened(plain)
    assert ids(texts(pair, persona)) == ids(texts(pair, plain))


# --- steering ---


def test_without_a_multiplier_a_steered_pair_is_as_it_was(vectors):
    plain = wanted()
    nothing = wanted(steered="starting", vectors_file=str(vectors), multiplier=0.0)
    unsteered = texts(opened(plain), plain)
    for one, other in zip(texts(opened(nothing), nothing), unsteered, strict=True):
        assert one.ids == other.ids
        for name, values in one.generated.values.items():
            np.testing.assert_array_equal(values, other.generated.values[name])


@pytest.mark.parametrize("member", ["starting", "comparison"])
def test_steering_changes_that_member_only(vectors, member):
    plain = wanted()
    steered = wanted(steered=member, vectors_file=str(vectors), multiplier=4.0)
    written = texts(opened(plain), plain)
    other = "comparison" if member == "starting" else "starting"
    for one, numbers in zip(written, forced(opened(steered), steered, written), strict=True):
        close_enough = {"atol": 1e-4, "rtol": 1e-3}
        np.testing.assert_allclose(numbers.values[f"{other}_logprob"], one.generated.values[f"{other}_logprob"], **close_enough)
        assert np.abs(numbers.values[f"{member}_logprob"] - one.generated.values[f"{member}_logprob"]).max() > 0.1


@pytest.mark.parametrize("positions", ["completion", "all", "generated"])
def test_a_steered_member_alone_writes_what_steering_writes(vectors, positions):
    settings = wanted(
        rule="none", steered="starting", vectors_file=str(vectors), multiplier=3.0, positions=positions, temperature=0.0
    )
    pair = opened(settings)
    assert isinstance(pair.starting.steering, Steering)
    assert pair.comparison.steering is None
    asked = rows(pair, settings)
    alone = dict(
        generate(
            pair.starting.model,
            [Row(row.prompt.starting) for row in asked],
            Sampling(settings.max_new_tokens, temperature=0.0),
            pair.starting.steering,
        )
    )
    assert ids(texts(pair, settings)) == [alone[index].ids for index in range(len(asked))]


# --- quantised ---


@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_quantised_members(quantize):
    settings = wanted(starting_quantize=quantize, comparison_quantize=quantize)
    pair = opened(settings)
    together = texts(pair, settings)
    assert ids(texts(pair, settings.model_copy(update={"batch_size": 1}))) == ids(together)
    whole = opened(wanted())
    for one, other in zip(together, forced(whole, wanted(), together), strict=True):
        difference = np.abs(one.generated.values["starting_logprob"] - other.values["starting_logprob"])
        assert 0 < difference.max() < 5  # the same model, roughly


def test_a_model_against_itself_quantised_is_what_quantising_changed():
    settings = wanted(comparison="demo", comparison_quantize="8bit")
    found = texts(opened(settings), settings)
    kl = np.concatenate([one.generated.values["kl"] for one in found])
    assert 0 < kl.mean() < 0.5


# --- widths ---


def test_rows_beyond_the_vocabulary_change_nothing_and_are_never_written(tmp_path):
    tuned = load("demo")
    network: Any = tuned.model
    with torch.no_grad():
        network.resize_token_embeddings(1088, mean_resizing=False)
        network.get_output_embeddings().weight[1024:] = 50 * network.get_output_embeddings().weight[300]  # very likely tokens
    network.save_pretrained(tmp_path / "wide")
    tuned.tokenizer.save_pretrained(tmp_path / "wide")
    settings = wanted()
    plain = texts(opened(settings), settings)
    for padded in (wanted(starting=str(tmp_path / "wide")), wanted(starting=str(tmp_path / "wide"), comparison_weight=0.0)):
        pair = opened(padded)
        assert pair.vocabulary == 1024
        assert max(token for one in texts(pair, padded) for token in one.ids) < 1024
    wide = wanted(starting=str(tmp_path / "wide"))
    for one, other in zip(texts(opened(wide), wide), plain, strict=True):
        assert one.ids == other.ids
        close(one.generated, other.generated)
    mirrored = wanted(starting="demo-base", comparison=str(tmp_path / "wide"), starting_weight=-1.0, comparison_weight=1.0)
    assert ids(texts(opened(mirrored), mirrored)) == ids(plain)
