"""Folding (specs/steering.md §4.1, P14): written and loaded again, the folded model gives the steered model's logits."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    PhiConfig,
    Qwen3Config,
)

from engine.edits import Slide, Transport
from engine.errors import InputError
from engine.families import Site
from engine.forward import pad
from engine.models import LoadedModel, load, wrap
from engine.steering.fold import difference, fold, rounding, steered_logits

HIDDEN = 32
SHAPE = {
    "vocab_size": 64,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
OLD_SHAPE = {"vocab_size": 64, "n_embd": HIDDEN, "n_layer": 2, "n_head": 4, "n_positions": 64}
OPT_SHAPE = {
    "vocab_size": 64,
    "hidden_size": HIDDEN,
    "word_embed_proj_dim": HIDDEN,
    "ffn_dim": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
NEOX_SHAPE = {name: value for name, value in SHAPE.items() if name != "num_key_value_heads"}
CONFIGS = {
    "llama": LlamaConfig(**SHAPE),
    "llama tied": LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SHAPE, head_dim=8),
    "gemma": GemmaConfig(**SHAPE, head_dim=8),
    "gemma2": Gemma2Config(**SHAPE, head_dim=8),
    "mistral": MistralConfig(**SHAPE),
    "gpt2": GPT2Config(**OLD_SHAPE),
    "gptj": GPTJConfig(**OLD_SHAPE, rotary_dim=4),
    "neox": GPTNeoXConfig(**NEOX_SHAPE),
    "neox sequential": GPTNeoXConfig(**NEOX_SHAPE, use_parallel_residual=False, attention_bias=False),
    "opt": OPTConfig(**OPT_SHAPE),
    "opt-350m": OPTConfig(**OPT_SHAPE, do_layer_norm_before=False),
    "phi": PhiConfig(**SHAPE),
}
SEQUENCES = [(1, 33, 22, 11, 4, 6), (1, 9, 8), (1, 17, 6, 15)]
EVERYWHERE = ["llama", "llama tied", "gpt2", "gptj", "neox", "neox sequential", "opt", "phi"]
FOLDABLE = [
    *((name, kind, edit) for name in EVERYWHERE for kind, edit in (("stream", "add"), ("attn", "slide"), ("mlp", "slide"))),
    *((name, "sublayers", "slide") for name in EVERYWHERE),
    *((name, "attn", edit) for name in ("qwen3", "gemma") for edit in ("add", "slide")),
    ("opt-350m", "mlp", "slide"),
]


def random_model(name: str, tokenizer) -> LoadedModel:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(CONFIGS[name]).float()
    with torch.no_grad():
        for parameter in network.parameters():  # initial weights hardly differ from zero, initial biases not at all
            if parameter.ndim > 1:
                parameter.mul_(8)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return wrap(network, tokenizer, name)


def random_edit(kind: str, seed: int):
    draw = torch.Generator().manual_seed(seed)
    direction, reader = (torch.randn(HIDDEN, generator=draw) for _ in range(2))
    return direction if kind == "add" else Slide(direction, reader / (reader @ direction), 1.5)


def sites(kind: str) -> list[Site]:
    kinds = ("attn", "mlp") if kind == "sublayers" else (kind,)
    return [Site(layer, one) for layer in (0, 1) for one in kinds]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("name", "kind", "edit"), FOLDABLE)
def test_p14_the_folded_model_gives_the_logits_of_the_hooks(parity, tmp_path, name, kind, edit):
    model = random_model(name, parity.tokenizer)
    arm = {site: random_edit(edit, seed) for seed, site in enumerate(sites(kind))}
    ids, valid = pad(SEQUENCES, "right")
    steered, plain = (steered_logits(model, each, ids, valid) for each in (arm, {}))
    assert (steered - plain)[valid].abs().max() > 0.1  # else there would be nothing to fold
    fold(model, arm).save_pretrained(tmp_path)
    parity.tokenizer.save_pretrained(tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto").eval()
    folded = wrap(reloaded, parity.tokenizer, "folded")
    assert difference(folded, steered, ids, valid) < 1e-4
    assert difference(folded, plain, ids, valid) > 1e-3
    assert torch.equal(steered_logits(model, {}, ids, valid), plain), "the model itself stays as it is"


REFUSED = [
    ("llama", "stream", "slide", "only a plain addition can be folded"),
    ("mistral", "stream", "add", "'mistral' have no bias at stream.0"),
    ("mistral", "attn", "slide", "'mistral' have no bias at attn.0"),
    ("gemma", "stream", "add", "at --site attn it can"),
    ("gemma2", "attn", "add", "norms behind its sublayers"),
    ("opt-350m", "stream", "add", "norm at the end of each block"),
]


@pytest.mark.parametrize(("name", "kind", "edit", "words"), REFUSED)
def test_what_cannot_be_folded_is_refused_with_the_mend(parity, name, kind, edit, words):
    model = random_model(name, parity.tokenizer)
    with pytest.raises(InputError, match=rf"{words}.*(tiller steer apply|give --)"):
        fold(model, {site: random_edit(edit, 0) for site in sites(kind)})


def test_transports_and_quantised_weights_are_refused(parity):
    eye, zero = torch.eye(HIDDEN), torch.zeros(HIDDEN)
    transport = Transport(eye[:, :2], torch.eye(2), 1.0, zero, zero)
    with pytest.raises(InputError, match="quad"):
        fold(random_model("llama", parity.tokenizer), {Site(0, "mlp"): transport})
    with pytest.raises(InputError, match="leave out --quantize"):
        fold(load("demo", quantize="8bit"), {Site(0): torch.zeros(128)})


def test_half_precision_differs_by_rounding_only(parity, tmp_path):
    model = random_model("llama", parity.tokenizer)
    model.model.to(torch.bfloat16)
    arm = {site: random_edit("slide", seed) for seed, site in enumerate(sites("sublayers"))}
    ids, valid = pad(SEQUENCES, "right")
    steered = steered_logits(model, arm, ids, valid)
    fold(model, arm).save_pretrained(tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto").eval()
    assert reloaded.dtype == torch.bfloat16
    assert difference(wrap(reloaded, parity.tokenizer, "folded"), steered, ids, valid) < rounding(torch.bfloat16)
