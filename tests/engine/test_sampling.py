"""Drawing a token: the distribution is transformers', exactly; the draw is a row's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from engine.generation import Row, generate
from engine.sampling import Sampling, candidates, choose, row_seed

PROMPT = (1, 33, 22, 11, 4)


def ours(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """What may be drawn, as probabilities of the whole vocabulary: [batch, vocab]."""
    likely, tokens = candidates(logits, sampling)
    shares = likely.softmax(-1)
    return shares if tokens is None else torch.zeros_like(logits.float()).scatter(1, tokens, shares)


def theirs(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The order of `generate`: temperature, top-k, top-p."""
    ids = torch.zeros(len(logits), 1, dtype=torch.int64)
    scores = TemperatureLogitsWarper(sampling.temperature)(ids, logits.float())
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(ids, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(ids, scores)
    return scores.softmax(-1)


def agree(logits: torch.Tensor, sampling: Sampling, equals: bool = False) -> None:
    """equals: some logits are, and which of those the nucleus leaves out is arbitrary there, but not how many."""
    mine, its = ours(logits, sampling), theirs(logits, sampling)
    if equals:
        mine, its = mine.sort(-1).values, its.sort(-1).values
    assert torch.equal(mine > 0, its > 0)
    torch.testing.assert_close(mine, its, atol=1e-6, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.sampled_from([3, 50, 58, 64, 400]),
    temperature=st.sampled_from([0.3, 1.0, 1.5]),
    top_k=st.sampled_from([0, 1, 2, 50]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 1.0]),
)
def test_the_distribution_is_that_of_transformers(seed, width, temperature, top_k, top_p):
    logits = 4 * torch.randn(6, width, generator=torch.Generator().manual_seed(seed))
    agree(logits, Sampling(1, temperature, top_k, top_p))


@pytest.mark.parametrize("top_p", [0.87, 1.0])
def test_tokens_that_tie_with_the_kth_best_stay_in(top_p):
    """In bfloat16 many logits are equal; one row ties with more tokens than are looked at first, another with none."""
    ties = torch.zeros(3, 200, dtype=torch.bfloat16)
    ties[0, :150] = 1.0
    ties[1, torch.arange(0, 40, 2)] = 2.0
    ties[2] = torch.linspace(-9, 9, 200)
    agree(ties, Sampling(1, 1.0, 10, top_p), equals=True)
    assert [int(n) for n in (ours(ties, Sampling(1, 1.0, 10)) > 0).sum(1)][:2] == [150, 20]


def test_logits_of_a_bfloat16_model():
    logits = (4 * torch.randn(16, 5000, generator=torch.Generator().manual_seed(0))).bfloat16()
    agree(logits, Sampling(1, 1.5, 50, 0.9), equals=True)


def test_a_draw_does_not_depend_on_how_many_ties_its_neighbours_have():
    generator = torch.Generator().manual_seed(0)
    row = torch.randn(1, 300, generator=generator)
    crowd = torch.cat([row, torch.zeros(1, 300)])
    sampling = Sampling(1, 1.5, 20, 0.9)
    for sample in range(200):
        seeds = np.array([row_seed(0, "p", sample, 0.0), 7], dtype=np.uint64)
        assert choose(row, sampling, seeds[:1], 0)[0] == choose(crowd, sampling, seeds, 0)[0]


@pytest.mark.slow
def test_p20_first_tokens_are_distributed_as_those_of_generate(parity):
    """T 1.5, top-k 50, top-p 0.9: our draws against the exact probabilities, and `generate`'s draws against the same."""
    sampling, count = Sampling(1, 1.5, 50, 0.9), 20_000
    with torch.inference_mode():
        exact = theirs(parity.model(torch.tensor([PROMPT])).logits[:, -1], sampling)[0].double()
    rows = [Row(PROMPT, row_seed(0, "p", sample, 0.0)) for sample in range(count)]
    drawn = torch.tensor([found.ids[0] for _, found in generate(parity, rows, sampling, batch_size=2000, stop_ids=frozenset())])
    torch.manual_seed(0)
    ids = torch.tensor([PROMPT]).expand(count, -1)
    library = parity.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.5,
        top_k=50,
        top_p=0.9,
        max_new_tokens=1,
        pad_token_id=0,
    )[:, -1]
    for tokens in (drawn, library):
        counts = torch.bincount(tokens, minlength=64).double()
        assert counts[exact == 0].sum() == 0
        possible = exact > 0
        expected = exact[possible] / exact[possible].sum() * count
        assert stats.chisquare(counts[possible].numpy(), expected.numpy()).pvalue > 1e-3
