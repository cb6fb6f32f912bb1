"""Parity with independent code: the numbers of specs/steering.md §11, tolerance 1e-4."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from engine.data import ABItem, Contrast, Example, Message
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.likelihood import Query, likelihoods
from engine.models import LoadedModel
from engine.sampling import Sampling
from engine.steering.logit import letter_odds
from engine.steering.reading import read_group
from engine.steering.vectors import mean_differences

PROMPTS = [[1, 5 + i, 10 + (7 * i) % 40, 3 + (5 * i) % 50, 4] for i in range(8)]
POSITIVE = [(*prompt, 6, 40) for prompt in PROMPTS]
NEGATIVE = [(*prompt, 6, 41) for prompt in PROMPTS]
STREAM = {  # P1: norm and first four coordinates by layer
    0: (6.997778, [-2.080989, 0.097242, 2.896056, 2.019492]),
    1: (11.727217, [-1.213421, -0.622615, 5.401186, 6.796808]),
    2: (12.816001, [-1.046664, -1.127700, 5.361570, 8.250600]),
    3: (10.033219, [-1.691202, -0.744083, 4.506581, 5.030406]),
}
SUBLAYERS = [4.349169, 6.539101, 1.662988, 8.620742, 1.425352, 4.689952, 2.153830, 5.940782]  # P2: attn0, mlp0, …
LOG_ODDS = [-1.606951, -1.191468, -1.742191, -0.801911, -2.120884, -5.728839, -2.339020, -2.466794]  # P3: z of the prompts
LOG_ODDS_NORMS = [2.528062, 5.073177, 5.931258, 6.887281]  # P3: of the vectors by layer
LOG_ODDS_FIRST = [-1.114815, -1.110686, 2.171663, 0.274035]  # P3: of the vector at layer 2
AB = {  # P4: p(A) / (p(A) + p(B)) by rule and multiplier
    "completion": {-1.0: 0.011195, 0.0: 0.008714, 0.5: 0.017502, 1.0: 0.034825, 2.0: 0.030055},
    "generated": {-1.0: 0.011378, 0.0: 0.008714, 0.5: 0.016036, 1.0: 0.026733, 2.0: 0.025302},
    "all": {-1.0: 0.009529, 0.0: 0.008714, 0.5: 0.021352, 1.0: 0.067285, 2.0: 0.041353},
}
GREEDY = {  # P5
    -2.0: (1, 10, 46, 35, 46, 1, 10, 35),
    -1.0: (35, 59, 35, 36, 36, 1, 36, 1),
    0.0: (35, 59, 9, 39, 35, 36, 1, 23),
    1.0: (22, 35, 36, 9, 23, 32, 23, 23),
    2.0: (48, 48, 14, 48, 48, 48, 48, 48),
}
PROMPT = (1, 33, 22, 11, 4)
MULTIPLIERS = list(GREEDY)


@pytest.fixture(scope="module")
def model(parity) -> LoadedModel:
    return parity


@pytest.fixture(scope="module")
def vectors(model: LoadedModel):
    return mean_differences(model, POSITIVE, NEGATIVE, model.sites("stream", "attn", "mlp"), batch_size=5)


class PublishedLetters:
    """The specification's prompts as chats: its tokens are the words of a tokenizer whose template adds nothing but 4 and 1."""

    def __init__(self, model: LoadedModel) -> None:
        words = {f"t{i}": i for i in range(64)}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="t0"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
        wrapped.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
        self.model = replace(model, tokenizer=wrapped)

    def contrast(self) -> Contrast:
        """Every item's letter is t40; t41 is the other one."""
        sides: dict[str, list[Example]] = {"positive": [], "negative": []}
        for number, prompt in enumerate(PROMPTS):
            chat = (Message("user", " ".join(f"t{token}" for token in prompt)),)
            item = ABItem(f"{number}", chat, "A", ("t6",), (" t40", " t41"))
            for side, letter in zip(sides, item.letters, strict=True):
                sides[side].append(Example(item.id, (*chat, Message("assistant", f"t6{letter}")), item))
        return Contrast({side: tuple(examples) for side, examples in sides.items()}, "positive")


def arms(vectors, multipliers):
    site = Site(2)
    return [{site: multiplier * vectors[site].vector} for multiplier in multipliers]


@pytest.mark.parametrize("layer", STREAM)
def test_p1_stream_vectors(vectors, layer):
    norm, first = STREAM[layer]
    vector = vectors[Site(layer)].vector
    assert vector.norm().item() == pytest.approx(norm, abs=1e-4)
    assert vector[:4].tolist() == pytest.approx(first, abs=1e-4)


def test_p2_sublayer_vectors(model, vectors):
    norms = [vectors[site].vector.norm().item() for site in model.sites("attn", "mlp")]
    assert norms == pytest.approx(SUBLAYERS, abs=1e-4)


def test_p3_vectors_of_log_odds(model):
    letters = PublishedLetters(model)
    odds = letter_odds(letters.model, letters.contrast(), batch_size=3)
    assert odds.z.tolist() == pytest.approx(LOG_ODDS, abs=1e-4)
    made = read_group(letters.model, {"": letters.contrast()}, model.sites("stream"), logit=True, batch_size=5)[""]
    assert made.log_odds == pytest.approx(LOG_ODDS, abs=1e-4)
    assert [made.vectors[site].vector.norm().item() for site in model.sites("stream")] == pytest.approx(
        LOG_ODDS_NORMS, abs=1e-4
    )
    assert made.vectors[Site(2)].vector[:4].tolist() == pytest.approx(LOG_ODDS_FIRST, abs=1e-4)


@pytest.mark.parametrize("rule", AB)
def test_p4_ab_probabilities(model, vectors, rule):
    multipliers = list(AB[rule])
    queries = [Query(PROMPT, (6,), (40, 41), arm) for arm in range(len(multipliers))]
    found = dict(likelihoods(model, queries, Steering(arms(vectors, multipliers), rule)))
    shares = {}
    for arm, multiplier in enumerate(multipliers):
        a, b = torch.tensor(found[arm].candidates).exp().tolist()
        shares[multiplier] = a / (a + b)
    assert shares == pytest.approx(AB[rule], abs=1e-4)


def test_p4_probabilities_are_of_the_whole_vocabulary(model, vectors):
    found = dict(likelihoods(model, [Query(PROMPT, (6,), (40, 41))], Steering(arms(vectors, [-1.0]), "completion")))
    assert torch.tensor(found[0].candidates).exp().tolist() == pytest.approx([0.001369, 0.120950], abs=1e-4)


@pytest.mark.parametrize("use_cache", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("batch_size", [1, 5], ids=["one by one", "batched"])
def test_p5_greedy_tokens(model, vectors, use_cache, batch_size):
    rows = [Row(PROMPT, arm=arm) for arm in range(len(MULTIPLIERS))]
    steering = Steering(arms(vectors, MULTIPLIERS), "completion")
    sampling = Sampling(8, temperature=0)
    found = dict(generate(model, rows, sampling, steering, batch_size, frozenset(), use_cache))
    assert {m: found[i].ids for i, m in enumerate(MULTIPLIERS)} == GREEDY


@pytest.mark.parametrize("use_cache", [True, False], ids=["cached", "uncached"])
def test_p5_holds_behind_left_padding(model, vectors, use_cache):
    rows = [Row(PROMPT, arm=arm) for arm in range(len(MULTIPLIERS))] + [Row((1, 7, 9, 12, 40, 41, 3, 2, 8, 4), arm=1)]
    steering = Steering(arms(vectors, MULTIPLIERS), "completion")
    found = dict(generate(model, rows, Sampling(8, temperature=0), steering, 6, frozenset(), use_cache))
    assert {m: found[i].ids for i, m in enumerate(MULTIPLIERS)} == GREEDY
