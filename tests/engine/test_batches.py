"""Any batch writes what its rows write one by one without a cache: prompts, edits, rules, stops and windows drawn at random."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, GPT2Config, LlamaConfig, MistralConfig

from engine.edits import Arm, Edit, Slide, Transport
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.likelihood import Query, likelihoods
from engine.models import LoadedModel, wrap
from engine.sampling import Sampling

LAYERS, HIDDEN = 3, 32
SHAPE = {
    "vocab_size": 64,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]
CONFIGS = {  # windows shorter than most rows, longer than some, longer than all
    "llama": LlamaConfig(**SHAPE),
    "gpt2": GPT2Config(
        vocab_size=64, n_embd=HIDDEN, n_layer=LAYERS, n_head=4, n_positions=64, bos_token_id=None, eos_token_id=None
    ),
    "mistral": MistralConfig(**SHAPE, sliding_window=3),
    "gemma2": Gemma2Config(**SHAPE, head_dim=8, sliding_window=9),
    "gemma3": Gemma3TextConfig(**SHAPE, head_dim=8, sliding_window=4, layer_types=MIXED),
    "gemma3, long window": Gemma3TextConfig(**SHAPE, head_dim=8, sliding_window=40, layer_types=MIXED),
}
RULES = ["all", "before", "completion", "generated", "from_marker", "legacy_before", "legacy_after"]


@pytest.fixture(scope="module", params=CONFIGS)
def model(request, parity) -> LoadedModel:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(CONFIGS[request.param]).float()
    with torch.no_grad():
        for parameter in network.parameters():  # initial weights are so small that every token would be the same
            if parameter.ndim > 1:
                parameter.mul_(8)
    return wrap(network, parity.tokenizer, request.param)


def edit(kind: str, seed: int) -> Edit:
    draw = torch.Generator().manual_seed(seed)
    v, w, gate = (torch.randn(HIDDEN, generator=draw) for _ in range(3))
    if kind == "addition":
        return 10 * v
    if kind == "slide":
        return Slide(v, w / (w @ v), 1.5)
    basis, _ = torch.linalg.qr(torch.randn(HIDDEN, 4, generator=draw))
    core = torch.randn(4, 4, generator=draw)
    return Transport(basis, core, 0.8, v, 5 * w, gate if kind == "gated" else None)


sites = st.builds(Site, st.integers(0, LAYERS - 1), st.sampled_from(["stream", "attn", "mlp"]))
edits = st.builds(edit, st.sampled_from(["addition", "slide", "transport", "gated"]), st.integers(0, 99))
arms = st.lists(st.dictionaries(sites, edits, max_size=3), min_size=1, max_size=4)
prompts = st.lists(st.lists(st.integers(1, 63), min_size=1, max_size=11).map(tuple), min_size=1, max_size=4)


@st.composite
def batches(draw) -> tuple[list[Arm], list[Row]]:
    table, asked = draw(arms), draw(prompts)
    row = st.sampled_from(asked).flatmap(
        lambda prompt: st.builds(
            Row, st.just(prompt), st.integers(0, 99), st.integers(0, len(table) - 1), st.integers(0, len(prompt) - 1)
        )
    )
    return table, draw(st.lists(row, min_size=1, max_size=20))


@settings(max_examples=20, deadline=None)
@given(
    batch=batches(),
    rule=st.sampled_from(RULES),
    batch_size=st.sampled_from([2, 5, 64]),
    stops=st.frozensets(st.integers(0, 63), max_size=40),
    steps=st.sampled_from([1, 2, 8]),
    temperature=st.sampled_from([0.0, 1.3]),
)
def test_a_batch_writes_what_its_rows_write_alone(model, batch, rule, batch_size, stops, steps, temperature):
    """Tokens and steered maps."""
    table, rows = batch
    sampling, steering = Sampling(steps, temperature, 20, 0.9), Steering(table, rule)
    alone = dict(generate(model, rows, sampling, steering, 1, stops, use_cache=False))
    assert dict(generate(model, rows, sampling, steering, batch_size, stops)) == alone
    assert dict(generate(model, rows, sampling, steering, batch_size, stops, use_cache=False)) == alone


@settings(max_examples=10, deadline=None)
@given(batch=batches(), rule=st.sampled_from(RULES), batch_size=st.sampled_from([5, 64]), data=st.data())
def test_likelihoods_of_a_batch_are_those_of_its_rows_alone(model, batch, rule, batch_size, data):
    table, rows = batch
    continuation = st.lists(st.integers(1, 63), max_size=7).map(tuple)
    queries = [Query(row.prompt, data.draw(continuation), (40, 41), row.arm, row.marker) for row in rows]
    steering = Steering(table, rule)
    together = dict(likelihoods(model, queries, steering, batch_size))
    for index, one in likelihoods(model, queries, steering, 1):
        assert together[index].continuation == pytest.approx(one.continuation, abs=1e-3)
        assert together[index].candidates == pytest.approx(one.candidates, abs=1e-3)
