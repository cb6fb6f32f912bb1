"""The cache of a batch: what transformers' own holds, in memory that is taken once and never larger than a window."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from engine.cache import cache_for
from engine.models import LoadedModel, wrap

ROWS, LENGTH, WINDOW = 10, 12, 4
SHAPE = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def model(parity) -> LoadedModel:
    return wrap(LlamaForCausalLM(LlamaConfig(**SHAPE)), parity.tokenizer, "llama")


@pytest.fixture(scope="module")
def windowed(parity) -> LoadedModel:
    return wrap(MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=WINDOW)), parity.tokenizer, "mistral")


def states(rows: int, tokens: int, seed: int) -> Tensor:
    return torch.randn(rows, 2, tokens, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("choice", [[0, 2, 5], [3, 3, 0, 1, 1, 4, 2], [5]], ids=["fewer", "branched", "one"])
def test_it_holds_what_transformers_own_holds(model, choice):
    ours, theirs = cache_for(model, ROWS, LENGTH), DynamicCache(config=model.model.config)
    assert type(ours) is not type(theirs)
    rows = ROWS
    for step, tokens in enumerate((5, 1, 1, 3)):
        if step == 2:
            for cache in (ours, theirs):
                cache.batch_select_indices(torch.tensor(choice))
            rows = len(choice)
            for layer in (0, 1):  # at once, not only after the next token
                assert torch.equal(ours.layers[layer].keys, theirs.layers[layer].keys)
                assert torch.equal(ours.layers[layer].values, theirs.layers[layer].values)
        for layer in (0, 1):
            keys, values = states(rows, tokens, 10 * step + layer), states(rows, tokens, 10 * step + layer + 5)
            seen = ours.update(keys, values, layer)
            for mine, other in zip(seen, theirs.update(keys, values, layer), strict=True):
                assert torch.equal(mine, other)
        assert ours.get_seq_length() == theirs.get_seq_length()


def test_memory_is_taken_once(model):
    """A step writes into it; only a choice of rows takes new memory, and gives the old back."""
    cache = cache_for(model, ROWS, LENGTH)
    first, _ = cache.update(states(ROWS, 5, 0), states(ROWS, 5, 1), 0)
    second, _ = cache.update(states(ROWS, 1, 2), states(ROWS, 1, 3), 0)
    assert first.data_ptr() == second.data_ptr()
    cache.batch_select_indices(torch.tensor([1, 4]))
    third, _ = cache.update(states(2, 1, 4), states(2, 1, 5), 0)
    assert cache.layers[0].keys.untyped_storage().nbytes() == third.untyped_storage().nbytes() == 2 * 2 * LENGTH * 8 * 4


@pytest.mark.parametrize(("length", "held"), [(WINDOW + 8, WINDOW - 1), (WINDOW + 1, WINDOW - 1), (WINDOW, WINDOW)])
def test_a_layer_with_a_window_never_holds_more_than_it_sees(windowed, length, held):
    cache = cache_for(windowed, ROWS, length)
    for step in range(length):
        cache.update(states(ROWS, 1, step), states(ROWS, 1, step), 0)
    keys = cache.layers[0].keys
    assert isinstance(keys, Tensor)
    assert keys.shape[2] == held
