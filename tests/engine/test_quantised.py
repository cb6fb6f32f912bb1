"""Steering models whose weights are 8 or 4 bits wide, on the CPU (bitsandbytes)."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.edits import Slide
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.models import LoadedModel, load
from engine.sampling import Sampling
from engine.steering.editing.linear import erased_and_added
from engine.steering.vectors import mean_differences

PROMPTS = [(5, 33, 22, 11, 4), (5, 9, 8, 17, 6, 15, 12, 4, 30, 31), (5, 4)]
HIDDEN = 128


@pytest.fixture(scope="module", params=["8bit", "4bit"])
def model(request, parity, tmp_path_factory) -> LoadedModel:
    path = tmp_path_factory.mktemp("model") / "tiny"
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=HIDDEN,
        intermediate_size=704,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    network = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in network.parameters():  # initial weights are so small that every token would be the same
            if parameter.ndim > 1:
                parameter.mul_(4)
    network.to(torch.bfloat16).save_pretrained(path)
    parity.tokenizer.save_pretrained(path)
    return load(str(path), quantize=request.param)


@pytest.mark.parametrize("kind", ["stream", "attn", "mlp"])
def test_a_quantised_model_steers_and_its_rows_do_not_see_each_other(model, kind):
    site = Site(1, kind)
    found = mean_differences(model, [(*p, 40) for p in PROMPTS], [(*p, 41) for p in PROMPTS], [site])[site]
    vector = 10 * found.vector
    slide = erased_and_added(3.0, vector, vector, found.mean)
    assert isinstance(slide, Slide)
    steering = Steering([{}, {site: 6 * vector}, {site: slide}, {site: -6 * vector}], "completion")
    rows = [Row(prompt, arm=arm) for prompt in PROMPTS for arm in range(4)]

    def ids(batch_size: int) -> list[tuple[int, ...]]:
        written = dict(generate(model, rows, Sampling(5, temperature=0), steering, batch_size, frozenset()))
        return [written[index].ids for index in range(len(rows))]

    alone = ids(1)
    assert len({alone[arm] for arm in range(4)}) > 2  # of one prompt
    assert len({alone[arm] for arm in (0, 2)}) == 2
    assert ids(len(rows)) == alone
