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

from engine.edits import Edits, Slide, Transport
from engine.errors import EngineError
from engine.families import Family, Site, family_of, register
from engine.forward import Steering
from engine.generation import Row, generate
from engine.hooks import edited, reading
from engine.lens import lens, reading_states, states_of
from engine.likelihood import Query, likelihoods
from engine.models import LoadedModel, wrap
from engine.sampling import Sampling
from engine.steering.editing.linear import erased_and_added, leace_functional
from engine.steering.editing.scrub import scrub
from engine.steering.vectors import difference_weights, mean_differences

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
    """P5 for every family and kind of edit: rows of unequal prompts, each with an edit of its own, behind left padding."""
    site = Site(1, kind)
    found = mean_differences(model, [(*p, 40) for p in PROMPTS], [(*p, 41) for p in PROMPTS], [site])[site]
    vector, mean = 10 * found.vector, found.mean
    basis, _ = torch.linalg.qr(torch.stack([vector, mean, torch.linspace(-1, 1, HIDDEN)], 1))
    core = torch.tensor([[0.5, 1.0, 0.0], [1.0, -0.5, 0.3], [0.0, 0.3, 2.0]])
    edits = [
        None,
        -1.0 * vector,
        2.0 * vector,
        erased_and_added(0.0, vector, vector, mean),
        erased_and_added(-2.0, vector, mean + vector, mean),
        Transport(basis, core, 1.3, mean, mean + vector),
        Transport(basis, core, 0.7, mean, mean - vector, vector, float(vector @ mean)),
    ]
    steering = Steering([{} if edit is None else {site: edit} for edit in edits], "completion")
    rows = [Row(PROMPTS[(arm + shift) % 3], arm=arm) for arm in range(len(edits)) for shift in (0, 1)]

    def ids(batch_size: int, use_cache: bool) -> list[tuple[int, ...]]:
        written = dict(generate(model, rows, Sampling(5, temperature=0), steering, batch_size, frozenset(), use_cache))
        return [written[index].ids for index in range(len(rows))]

    alone = ids(1, False)
    assert len({alone[2 * arm] for arm in range(len(edits))}) > 2  # the edits do something
    assert ids(1, True) == alone
    assert ids(len(rows), True) == alone
    assert ids(len(rows), False) == alone


@pytest.mark.parametrize("rule", ["all", "legacy_before"])
def test_steered_prompts_agree_too(model, rule):
    """Rules that reach into the prompt: each arm has a prefill of its own."""
    sites = model.sites("attn", "mlp")
    slides = {site: Slide(torch.linspace(-30, 30, HIDDEN), torch.linspace(1, 0, HIDDEN) / 99, 5.0) for site in sites}
    steering = Steering([{}, slides, {Site(0): torch.linspace(-200, 200, HIDDEN)}], rule)
    rows = [Row(prompt, arm=arm) for prompt in PROMPTS for arm in range(3)]

    def ids(batch_size: int, use_cache: bool) -> list[tuple[int, ...]]:
        written = dict(generate(model, rows, Sampling(4, temperature=0), steering, batch_size, frozenset(), use_cache))
        return [written[index].ids for index in range(len(rows))]

    alone = ids(1, False)
    assert len({alone[arm] for arm in range(3)}) > 1  # of one prompt
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


@pytest.mark.parametrize("method", ["leace", "orth"])
def test_scrubbing_fits_each_sublayer_on_what_the_edits_before_it_left(model, method):
    """Against the plain way: for every sublayer and multiplier a run of its own with the edits found so far."""
    multipliers = [1.0, -0.5]
    sequences = [(*p, 40) for p in PROMPTS] + [(*p, 41) for p in PROMPTS]
    weights = difference_weights({"positive": 3, "negative": 3}, "positive")
    chains = scrub(model, sequences, weights, multipliers, method, batch_size=5)
    for multiplier, chain in zip(multipliers, chains, strict=True):
        assert list(chain.slides) == model.sites("attn", "mlp")
        for site, slide in chain.slides.items():
            earlier = {other: chain.slides[other] for other in chain.slides if other < site}
            x = torch.stack([states_under(model, earlier, site, ids) for ids in sequences]).double()
            vector = x[:3].mean(0) - x[3:].mean(0)
            functional = vector if method == "orth" else leace_functional(x, vector)
            wanted = erased_and_added(multiplier, vector, functional, x.mean(0))
            torch.testing.assert_close(slide.moved(x), wanted.moved(x), atol=1e-2, rtol=1e-3)
            assert chain.norms[site] == pytest.approx(float(vector.norm()), rel=1e-3)


def states_under(model: LoadedModel, arm, site: Site, ids: tuple[int, ...]) -> torch.Tensor:
    """The last token's state at a site while an arm edits others, all tokens."""
    edits = Edits(model, [arm])
    edits.select(torch.tensor([0]))
    edits.aim(torch.ones(1, len(ids), dtype=torch.bool))
    with edits.attached():
        return states(model, [site], ids)[site]


def test_an_unknown_family_is_named_with_the_mend():
    with pytest.raises(EngineError, match=r"Model x is of type 'bloom'.*register\(Family"):
        family_of("bloom", "x")


def test_a_user_can_add_a_family():
    register(Family("Mine", ("my_llama",), blocks="inner.layers"))
    assert family_of("my_llama", "x").path(Site(3, "mlp")) == "inner.layers.3.mlp"


def test_a_layer_out_of_range_is_refused(parity):
    with pytest.raises(EngineError, match="Layer 4 is out of range: parity has layers 0 to 3"):
        parity.module(Site(4))


def test_the_lens_on_the_last_block_is_the_model_s_own_logits(model):
    ids = torch.tensor([PROMPTS[0], PROMPTS[0][::-1]])
    with reading_states(model, [1, 4]) as found, torch.inference_mode():
        logits = model.model(input_ids=ids).logits
    torch.testing.assert_close(lens(model, found[LAYERS - 1, "block"]), logits[:, [1, 4]], atol=1e-5, rtol=1e-5)


def test_the_lens_reads_what_is_added_on_the_way(model):
    """The stream after attention, where there is one, lies between what comes in and what goes out."""
    with reading_states(model, [4]) as found, torch.inference_mode():
        model.model(input_ids=torch.tensor([PROMPTS[0]]))
    parallel = model.name in ("gptj", "gpt_neox", "phi")
    assert ("middle" in states_of(model)) is not parallel
    assert {state for _, state in found} == set(states_of(model))
    for layer in range(1, LAYERS):
        added = found[layer, "attention"] + found[layer, "mlp"]
        torch.testing.assert_close(added, found[layer, "block"] - found[layer - 1, "block"], atol=1e-4, rtol=1e-4)
        if not parallel:
            middle = found[layer - 1, "block"] + found[layer, "attention"]
            torch.testing.assert_close(found[layer, "middle"], middle, atol=1e-4, rtol=1e-4)
    assert not any(block._forward_pre_hooks or block._forward_hooks for block in model.blocks())


def test_the_lens_projects_where_embeddings_are_narrower_than_the_stream(parity):
    config = OPTConfig(**(CONFIGS["opt"].to_dict() | {"word_embed_proj_dim": 16}))
    narrow = wrap(AutoModelForCausalLM.from_config(config).float(), parity.tokenizer, "opt")
    with reading_states(narrow, [4]) as found, torch.inference_mode():
        logits = narrow.model(input_ids=torch.tensor([PROMPTS[0]])).logits
    torch.testing.assert_close(lens(narrow, found[LAYERS - 1, "block"]), logits[:, [4]], atol=1e-5, rtol=1e-5)
