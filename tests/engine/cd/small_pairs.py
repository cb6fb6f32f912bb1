"""Small pairs of models, and what they predict reckoned without any of our loops: whole texts, one at a time, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from engine.cd.decoding.numbers import TokenNumbers
from engine.cd.pairs.pair import Member, Pair, PairPrompt
from engine.models import LoadedModel, wrap

LLAMA = LlamaConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=96,
    eos_token_id=7,
    bos_token_id=None,
    pad_token_id=0,
)
GPT2 = GPT2Config(vocab_size=70, n_embd=32, n_layer=2, n_head=4, n_positions=96, bos_token_id=None, eos_token_id=9)


def small(parity: LoadedModel, config: LlamaConfig | GPT2Config, seed: int) -> LoadedModel:
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(config).float()
    with torch.no_grad():
        for parameter in network.parameters():  # initial weights are so small that every token would be the same
            if parameter.ndim > 1:
                parameter.mul_(8)
    return wrap(network, parity.tokenizer, f"{config.model_type} {seed}")


def pair_of(starting: LoadedModel, comparison: LoadedModel, vocabulary: int = 64) -> Pair:
    return Pair(Member(starting), Member(comparison), vocabulary, "test")


def prompt(shared: Sequence[int], starting: Sequence[int] = (), comparison: Sequence[int] = ()) -> PairPrompt:
    return PairPrompt((*starting, *shared), (*comparison, *shared), len(shared))


PROMPTS = [  # of many lengths, with what only one of the models sees, one token alone, and one prompt twice
    prompt((1, 33, 22, 11, 4)),
    prompt((1, 4), starting=(50, 51, 52, 53, 54, 55)),
    prompt((5,)),
    prompt((8, 7, 6, 5, 12, 4), comparison=(60, 61, 62)),
    prompt((1, 33, 22, 11, 4)),
    prompt((3, 3, 3), starting=(10, 11), comparison=(12, 13, 14, 15)),
    PairPrompt((20, 21, 22, 23), (23,), 1),  # C sees the last token only
]


@torch.inference_mode()
def predictions(pair: Pair, asked: PairPrompt, text: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Log-probabilities of S and C for each token of the text, [tokens, vocabulary]."""
    found = []
    for member, ids in ((pair.starting, asked.starting), (pair.comparison, asked.comparison)):
        logits = member.model.model(torch.tensor([[*ids, *text]])).logits[0]
        found.append(logits[len(ids) - 1 : len(ids) - 1 + len(text), : pair.vocabulary].double().log_softmax(-1))
    return found[0], found[1]


def own_predictions(pair: Pair, asked: PairPrompt) -> tuple[Tensor, Tensor]:
    """Likewise of the prompt's shared tokens but the first."""
    own = asked.shared - 1
    head = PairPrompt(asked.starting[: len(asked.starting) - own], asked.comparison[: len(asked.comparison) - own], 1)
    return predictions(pair, head, asked.starting[len(asked.starting) - own :])


def assert_numbers(found: TokenNumbers, predicted: tuple[Tensor, Tensor], text: Sequence[int]) -> None:
    """Some of each kind, to 1e-4; the arithmetic of all of them has its own tests."""
    s, c = predicted
    assert len(found) == len(text)
    tokens = torch.tensor(text, dtype=torch.int64)[:, None]
    expected = {
        "kl": (s.exp() * (s - c)).sum(-1),
        "log_ratio": (s - c).gather(-1, tokens)[:, 0],
        "starting_logprob": s.gather(-1, tokens)[:, 0],
        "comparison_logprob": c.gather(-1, tokens)[:, 0],
        "comparison_entropy": -(c.exp() * c).sum(-1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found.values[name], values.numpy(), atol=1e-4, rtol=1e-4, err_msg=name)
    for (ids, shares), logprobs in ((found.starting_top, s), (found.comparison_top, c)):
        best = logprobs.exp().topk(ids.shape[1]).values.numpy()
        np.testing.assert_allclose(shares, best, atol=1e-4)
        np.testing.assert_allclose(np.take_along_axis(logprobs.exp().numpy(), ids.astype(np.int64), 1), shares, atol=1e-4)


def assert_same(found: TokenNumbers, expected: TokenNumbers, atol: float = 1e-4) -> None:
    assert set(found.values) == set(expected.values)
    for name, values in expected.values.items():
        np.testing.assert_allclose(found.values[name], values, atol=atol, rtol=1e-4, err_msg=name)
    for mine, its in zip((found.starting_top, found.terms), (expected.starting_top, expected.terms), strict=True):
        np.testing.assert_allclose(mine[1], its[1], atol=atol)
