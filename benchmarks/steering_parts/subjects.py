"""What is measured: the demo model, and Llamas with random weights. Prompts, a vector and a layer for each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from engine.chats import encode_chat
from engine.demo import data
from engine.families import Site
from engine.models import LoadedModel, load, wrap
from engine.steering.activations import collect_sequences

PROMPTS = 25
MULTIPLIERS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
SMALL = {
    "vocab_size": 4096,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
}
LARGE = {
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Subject:
    """A model; prompts as token ids; v, [hidden], at one layer; the tokens that end an answer (random weights: none)."""

    name: str
    model: LoadedModel
    prompts: list[tuple[int, ...]]
    site: Site
    vector: Tensor
    stops: frozenset[int]

    @property
    def every_layer(self) -> list[Site]:
        return self.model.sites("stream")

    def sequences(self, count: int) -> list[tuple[int, ...]]:
        """Texts of 40 to 119 tokens (specs/engine.md §4 e)."""
        draw = torch.Generator().manual_seed(1)
        lengths = torch.randint(40, 120, (count,), generator=draw).tolist()
        return [tuple(torch.randint(5, self.vocabulary, (length,), generator=draw).tolist()) for length in lengths]

    @property
    def vocabulary(self) -> int:
        return self.model.model.config.vocab_size


def demo() -> Subject:
    """The embedded model, its held-out questions and its own vector of politeness."""
    model = load("demo")
    chats = [prompt.chat for behavior in ("polite", "happy") for prompt in data.open_prompts(behavior)]
    prompts = list(dict.fromkeys(encode_chat(model.tokenizer, chat).ids for chat in chats))[:PROMPTS]
    pairs = data.contrast_pairs("polite")
    sides = {
        "positive": [encode_chat(model.tokenizer, pair.positive).ids for pair in pairs],
        "negative": [encode_chat(model.tokenizer, pair.negative).ids for pair in pairs],
    }
    site = Site(2)
    states = collect_sequences(model, sides, [site])[site]
    vector = states["positive"].mean(0) - states["negative"].mean(0)
    return Subject("demo model", model, prompts, site, vector, model.stop_ids())


def random_llama(shape: dict, device: str, dtype: torch.dtype) -> Subject:
    torch.manual_seed(0)
    config = LlamaConfig(**shape, eos_token_id=None, bos_token_id=None)
    with torch.device(device):
        network = AutoModelForCausalLM.from_config(config, dtype=dtype)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    name = f"Llama of random weights, {parameters / 1e6:.1f} M"
    model = wrap(network, load("demo", device_map={"": "cpu"}).tokenizer, name)
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(24, 64, (PROMPTS,), generator=draw).tolist()
    prompts = [tuple(torch.randint(5, config.vocab_size, (length,), generator=draw).tolist()) for length in lengths]
    vector = torch.randn(config.hidden_size, generator=draw)
    return Subject(name, model, prompts, Site(config.num_hidden_layers // 2), vector / vector.norm(), frozenset())
