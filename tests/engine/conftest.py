"""What engine tests share: one torch thread, no hub, and the parity model of the specification."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.models import LoadedModel, wrap

torch.set_num_threads(1)  # the machine's two cores are shared


@pytest.fixture(scope="session")
def parity() -> LoadedModel:
    """The tiny Llama of specs/steering.md §11, whose weights are a formula."""
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).float()
    state = model.state_dict()
    for rank, name in enumerate(sorted(state)):
        if "norm" in name:
            state[name] = torch.ones_like(state[name])
        else:
            element = torch.arange(state[name].numel(), dtype=torch.float64)
            weights = 0.5 * torch.sin(0.37 * (element + 1) ** 2 + (rank + 1))
            state[name] = weights.reshape(state[name].shape).float()
    model.load_state_dict(state)
    vocabulary = {f"t{i}": i for i in range(64)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="t0")))
    return wrap(model, tokenizer, "parity")
