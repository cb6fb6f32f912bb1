"""Weights of two models mixed by name, before they are quantised (§1.4, parity §8.5)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from engine.cd.pairs.interpolation import comparison_share, mix_into, mixed
from engine.cd.pairs.opening import open_pair, pair_source
from engine.cd.settings import PairSettings
from engine.errors import InputError
from engine.models import LoadedModel, load, wrap

IDS = torch.tensor([[1, 4, 436, 345, 391, 2, 5]])


def tiny(parity: LoadedModel, seed: int, **changes: Any) -> LoadedModel:
    options: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    torch.manual_seed(seed)
    return wrap(LlamaForCausalLM(LlamaConfig(**options | changes)), parity.tokenizer, f"tiny-{seed}")


def weights(model: LoadedModel) -> dict[str, torch.Tensor]:
    return {name: parameter.clone() for name, parameter in model.model.named_parameters()}


@pytest.mark.parametrize(
    ("weight", "legacy", "expected"),
    [
        (0.01, True, 3.98),
        (1, True, 2),
        (0, True, 2),
        (0.01, False, 2.02),
        (1, False, 4),
        (0, False, 2),
        (-1, False, 0),
        (2, False, 6),
    ],
)
def test_parity_8_5_and_what_the_weight_means_here(weight, legacy, expected):
    found = mixed(torch.tensor(2.0), torch.tensor(4.0), comparison_share(weight, legacy))
    assert found.item() == pytest.approx(expected, abs=1e-6)


@given(st.floats(-1e3, 1e3), st.floats(-3, 3))
def test_equal_weights_stay_as_they_are(value, share):
    for dtype in (torch.float32, torch.bfloat16):
        one = torch.tensor(value, dtype=dtype)
        assert torch.equal(mixed(one, one.clone(), share), one)


def test_half_precision_is_rounded_once():
    one, other = torch.tensor(1.0, dtype=torch.bfloat16), torch.tensor(1.5, dtype=torch.float32)
    found = mixed(one, other, 0.01)
    assert found.dtype == torch.bfloat16
    assert found.item() == torch.tensor(1.005).bfloat16().item()


def test_every_parameter_is_mixed_with_that_of_its_name(parity):
    one, other = tiny(parity, 0), tiny(parity, 1)
    before, theirs = weights(one), weights(other)
    mix_into(one, other, 0.25)
    for name, parameter in weights(one).items():
        torch.testing.assert_close(parameter, 0.75 * before[name] + 0.25 * theirs[name])
    assert all(torch.equal(theirs[name], parameter) for name, parameter in weights(other).items())


def test_a_tied_weight_is_mixed_once(parity):
    one, other = (tiny(parity, seed, tie_word_embeddings=True) for seed in (0, 1))
    before, theirs = weights(one), weights(other)
    mix_into(one, other, 0.25)
    assert one.model.lm_head.weight is one.model.model.embed_tokens.weight
    name = "model.embed_tokens.weight"
    torch.testing.assert_close(weights(one)[name], 0.75 * before[name] + 0.25 * theirs[name])


@pytest.mark.parametrize(
    ("mine", "its", "said"),
    [
        ({}, {"intermediate_size": 48}, r"model.layers.0.mlp.gate_proj.weight is 32×16 .* 48×16"),
        ({}, {"num_hidden_layers": 1}, r"model.layers.1.* none of that name"),
        ({"num_hidden_layers": 1}, {}, r"model.layers.1.* none of that name"),
        ({"tie_word_embeddings": True}, {}, r"tied to model.embed_tokens.weight"),
        ({}, {"vocab_size": 72}, r"model.embed_tokens.weight is 64×16 .* 72×16"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_changed(parity, mine, its, said):
    one = tiny(parity, 0, **mine)
    before = weights(one)
    with pytest.raises(InputError, match=said):
        mix_into(one, tiny(parity, 1, **its), 0.5)
    assert all(torch.equal(before[name], parameter) for name, parameter in weights(one).items())


def test_weights_that_are_quantised_on_disk_are_refused(tmp_path):
    load("demo", quantize="8bit").model.save_pretrained(tmp_path / "whole")
    load("demo").tokenizer.save_pretrained(tmp_path / "whole")
    with pytest.raises(InputError, match="quantised on disk"):
        opened(starting=str(tmp_path / "whole"), interpolate=0.5)


def opened(**options):
    wanted = PairSettings(**options)
    return open_pair(pair_source(wanted), wanted)


def logits(model: LoadedModel) -> torch.Tensor:
    with torch.inference_mode():
        return model.model(IDS).logits.float()


def test_an_opened_pair_is_mixed_and_the_comparison_model_is_not():
    pair, tuned, base = opened(interpolate=0.5), load("demo"), load("demo-base")
    assert torch.equal(logits(pair.comparison.model), logits(base))
    mix_into(tuned, base, 0.5)
    assert torch.equal(logits(pair.starting.model), logits(tuned))


def test_the_whole_way_is_the_other_model_and_no_way_is_the_model_itself():
    tuned, base = logits(load("demo")), logits(load("demo-base"))
    assert torch.equal(logits(opened(interpolate=1).starting.model), base)
    assert torch.equal(logits(opened(interpolate=0).starting.model), tuned)
    assert torch.equal(logits(opened(interpolate=0, legacy_interpolation=True).starting.model), tuned)
    assert torch.equal(logits(opened(interpolate=1, legacy_interpolation=True).starting.model), tuned)


@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_what_is_quantised_is_mixed_before(tmp_path, quantize):
    pair = opened(interpolate=0.5, starting_quantize=quantize, comparison_quantize=quantize)
    assert pair.starting.model.quantised
    assert pair.comparison.model.quantised
    whole = opened(interpolate=0.5).starting.model  # the same mixture, written down and quantised on the way in
    whole.model.save_pretrained(tmp_path / "mixed")
    whole.tokenizer.save_pretrained(tmp_path / "mixed")
    assert torch.equal(logits(pair.starting.model), logits(load(str(tmp_path / "mixed"), quantize=quantize)))
    assert torch.equal(logits(pair.comparison.model), logits(load("demo-base", quantize=quantize)))
    assert not torch.equal(logits(pair.starting.model), logits(whole))
