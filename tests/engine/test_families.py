"""Every family of the table, as a tiny random model: hooks reach the right places and positions stay right.

GPT-J's and GPT-NeoX's position tables, Gemma's norms behind sublayers and OPT's flattened MLP are each a trap of their own.
"""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    Qwen2Config,
    Qwen3Config,
)

from engine.errors import EngineError
from engine.families import Family, Site, family_of, register
from engine.forward import Steering
from engine.generation import Row, generate
from engine.hooks import edited, reading
from engine.likelihood import Query, likelihoods
from engine.models import LoadedModel, wrap
from engine.sampling import Sampling
from engine.steering.vectors import mean_differences

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
OLD_SHAPE = {"vocab_size": 64, "n_embd": HIDDEN, "n_layer": LAYERS, "n_head": 4, "n_positions": 64}
CONFIGS = {
    "llama": LlamaConfig(**SHAPE),
    "mistral": MistralConfig(**SHAPE, sliding_window=6),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE, head_dim=8),
    "gemma": GemmaConfig(**SHAPE, head_dim=8),
    "gemma2": Gemma2Config(**SHAPE, head_dim=8, sliding_window=6),
    "gemma3": Gemma3TextConfig(**SHAPE, head_dim=8, sliding_window=6),
    "gpt2": GPT2Config(**OLD_SHAPE),
    "gptj": GPTJConfig(**OLD_SHAPE, rotary_dim=4),
    "gpt_neox": GPTNeoXConfig(**{k: v for k, v in SHAPE.items() if k != "num_key_value_heads"}),
    "opt": OPTConfig(
        vocab_size=64,
        hidden_size=HIDDEN,
        word_embed_proj_dim=HIDDEN,
        ffn_dim=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=64,
    ),
    "phi": PhiConfig(**SHAPE),
    "phi3": Phi3Config(**SHAPE),
}
PROMPTS = [(5, 33, 22, 11, 4), (5, 9, 8, 17, 6, 15, 12, 4, 30, 31), (5, 4)]


@pytest.fixture(scope="module", params=CONFIGS)
def model(request, parity) -> LoadedModel:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(CONFIGS[request.param]).float()
    with torch.no_grad():
        for parameter in network.parameters():  # initial weights are so small that every token would be the same
            if parameter.ndim > 1:
                parameter.mul_(8)
    return wrap(network, parity.tokenizer, request.param)


def states(model: LoadedModel, sites, ids=PROMPTS[0]) -> dict[Site, torch.Tensor]:
    with reading(model, sites, torch.tensor([len(ids) - 1])) as found, torch.inference_mode():
        model.model(input_ids=torch.tensor([ids]))
    return {site: state[0] for site, state in found.items()}


def test_blocks_and_sublayers_are_found(model):
    found = states(model, model.sites("stream", "attn", "mlp"))
    assert len(found) == 3 * LAYERS
    assert {state.shape for state in found.values()} == {(HIDDEN,)}


def test_stream_is_the_sum_of_what_the_sublayers_add(model):
    """Only if attn and mlp sites are what really enters the stream."""
    found = states(model, model.sites("stream", "attn", "mlp"))
    for layer in range(1, LAYERS):
        added = found[Site(layer, "attn")] + found[Site(layer, "mlp")]
        difference = found[Site(layer)] - found[Site(layer - 1)]
        torch.testing.assert_close(added, difference, atol=1e-4, rtol=1e-4)


def test_heads_are_found_where_their_outputs_lie_side_by_side(model):
    for block in model.blocks():
        projection = block.get_submodule(model.family.heads)
        weight = projection.weight
        assert HIDDEN in weight.shape
        assert weight.shape[0] % 4 == 0


def test_every_row_of_a_batch_is_edited_and_nothing_stays(model):
    ids = torch.tensor([[5, 33, 22], [5, 9, 8], [5, 17, 6]])
    with torch.inference_mode():
        before = model.model(input_ids=ids).logits
        for site in model.sites("stream", "attn", "mlp"):
            with edited(model, {site: lambda h: h + torch.linspace(-3, 3, HIDDEN)}):
                after = model.model(input_ids=ids).logits
            assert (before - after).abs().amax((1, 2)).min() > 1e-4, site.name
        assert torch.equal(before, model.model(input_ids=ids).logits)


@pytest.mark.parametrize("kind", ["stream", "attn", "mlp"])
def test_cached_uncached_and_batched_steering_agree(model, kind):
    """P5 for every family: rows of three prompts and three multipliers, behind left padding."""
    vector = mean_differences(model, [(*p, 40) for p in PROMPTS], [(*p, 41) for p in PROMPTS], [Site(1, kind)])[
        Site(1, kind)
    ].vector
    steering = Steering([{Site(1, kind): m * vector} for m in (-1.0, 0.0, 2.0)], "completion")
    rows = [Row(prompt, arm=arm) for prompt in PROMPTS for arm in range(3)]

    def ids(batch_size: int, use_cache: bool) -> list[tuple[int, ...]]:
        found = dict(generate(model, rows, Sampling(6, temperature=0), steering, batch_size, frozenset(), use_cache))
        return [found[index].ids for index in range(len(rows))]

    alone = ids(1, False)
    assert ids(1, True) == alone
    assert ids(9, True) == alone
    assert ids(9, False) == alone


def test_likelihoods_equal_those_of_one_full_pass(model):
    steering = Steering([{Site(1): torch.linspace(-1, 1, HIDDEN)}], "all")
    queries = [Query(prompt, (7, 8)[: 1 + number % 2], (40, 41)) for number, prompt in enumerate(PROMPTS)]
    found = dict(likelihoods(model, queries, steering))
    for index, query in enumerate(queries):
        ids = torch.tensor([[*query.prompt, *query.continuation]])
        with torch.inference_mode(), edited(model, {Site(1): lambda h: h + torch.linspace(-1, 1, HIDDEN)}):
            logprobs = model.model(input_ids=ids).logits[0].log_softmax(-1)
        length = len(query.prompt)
        continuation = sum(float(logprobs[length - 1 + step, token]) for step, token in enumerate(query.continuation))
        assert found[index].continuation == pytest.approx(continuation, abs=1e-3)
        assert found[index].candidates == pytest.approx(logprobs[-1, [40, 41]].tolist(), abs=1e-3)


def test_vectors_do_not_depend_on_batches_and_padding(model):
    positive, negative = [(*p, 40) for p in PROMPTS], [(*p, 41) for p in PROMPTS]
    sites = model.sites("stream", "attn", "mlp")
    together, alone = (mean_differences(model, positive, negative, sites, size) for size in (3, 1))
    for site in sites:
        torch.testing.assert_close(together[site].vector, alone[site].vector, atol=1e-4, rtol=1e-4)


def test_an_unknown_family_is_named_with_the_mend():
    with pytest.raises(EngineError, match=r"Model x is of type 'bloom'.*register\(Family"):
        family_of("bloom", "x")


def test_a_user_can_add_a_family():
    register(Family("Mine", ("my_llama",), blocks="inner.layers"))
    assert family_of("my_llama", "x").path(Site(3, "mlp")) == "inner.layers.3.mlp"


def test_a_layer_out_of_range_is_refused(parity):
    with pytest.raises(EngineError, match="Layer 4 is out of range: parity has layers 0 to 3"):
        parity.module(Site(4))
