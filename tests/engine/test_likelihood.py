"""Likelihoods of given continuations: the same as full passes give, whatever shares a batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EngineError, InputError
from engine.families import Site
from engine.forward import Steering
from engine.hooks import edited
from engine.likelihood import Likelihood, Query, likelihoods

SITE = Site(2)
ARMS = [{}, {SITE: torch.linspace(-2, 2, 16)}, {SITE: torch.linspace(3, -3, 16)}]
tokens = st.integers(1, 63)
prompts = st.lists(tokens, min_size=1, max_size=9).map(tuple)
queries = st.builds(
    Query,
    prompt=st.sampled_from([(1, 33, 22, 11, 4), (1, 4)]) | prompts,  # some share their beginning
    continuation=st.lists(tokens, max_size=4).map(tuple),
    candidates=st.lists(tokens, max_size=3).map(tuple),
    arm=st.integers(0, 2),
)


def in_one_pass(model, query: Query, rule: str) -> Likelihood:
    """Without cache, batch or padding."""
    ids = torch.tensor([[*query.prompt, *query.continuation]])
    length = len(query.prompt)
    first = {"all": 0, "completion": length - 1, "generated": length}[rule]

    def push(h: torch.Tensor) -> torch.Tensor:
        moved = h.clone()
        moved[:, first:] += ARMS[query.arm][SITE]
        return moved

    with torch.inference_mode(), edited(model, dict.fromkeys(ARMS[query.arm], push)):
        logprobs = model.model(input_ids=ids).logits[0].log_softmax(-1)
    steps = [float(logprobs[length - 1 + step, token]) for step, token in enumerate(query.continuation)]
    return Likelihood(sum(steps), tuple(logprobs[-1, list(query.candidates)].tolist()))


@settings(max_examples=25, deadline=None)
@given(
    asked=st.lists(queries, min_size=1, max_size=8),
    rule=st.sampled_from(["all", "completion", "generated"]),
    batch_size=st.sampled_from([1, 3, 8]),
)
def test_likelihoods_are_those_of_full_passes(parity, asked, rule, batch_size):
    found = dict(likelihoods(parity, asked, Steering(ARMS, rule), batch_size))
    assert found.keys() == set(range(len(asked)))
    for index, query in enumerate(asked):
        expected = in_one_pass(parity, query, rule)
        assert found[index].continuation == pytest.approx(expected.continuation, abs=1e-4)
        assert found[index].candidates == pytest.approx(expected.candidates, abs=1e-4)


def test_a_continuation_and_its_candidates_add_up(parity):
    """p(a, b | prompt) = p(a | prompt) · p(b | prompt, a)."""
    pair, first = Query((1, 33, 4), (7, 9), ()), Query((1, 33, 4), (7,), (9,))
    found = dict(likelihoods(parity, [pair, first]))
    assert found[0].continuation == pytest.approx(found[1].continuation + found[1].candidates[0], abs=1e-5)


def test_nothing_asked_is_nothing_answered(parity):
    assert list(likelihoods(parity, [])) == []


def test_a_query_longer_than_the_model_is_refused_before_anything_runs(parity):
    with pytest.raises(InputError, match=r"130 tokens.*128 positions"):
        next(likelihoods(parity, [Query((1,) * 100, (2,) * 30, ())]))


@pytest.mark.parametrize("query", [Query((1, 2), (3,), (), 1), Query((1, 2), (), (4, 5), 1)])
def test_logits_that_are_no_numbers_have_no_likelihoods(parity, query):
    arms = [{}, {SITE: torch.full((16,), torch.nan)}]
    asked = [Query((1, 2, 3), (4,), (5,)), query]
    with pytest.raises(EngineError, match="parity gives NaN or infinite logits; use --dtype"):
        list(likelihoods(parity, asked, Steering(arms)))
    assert list(likelihoods(parity, asked[:1], Steering(arms)))


def test_wide_vocabularies_are_looked_at_in_parts(parity, monkeypatch):
    asked = [Query((1, 2, number), (3, 4), (5, 6), number % 3) for number in range(5)]
    whole = dict(likelihoods(parity, asked, Steering(ARMS)))
    monkeypatch.setattr("engine.likelihood._PART", 2 * 3 * 64)  # two rows at a time
    parts = dict(likelihoods(parity, asked, Steering(ARMS)))
    for index in whole:
        assert parts[index].continuation == pytest.approx(whole[index].continuation, abs=1e-6)
        assert parts[index].candidates == pytest.approx(whole[index].candidates, abs=1e-6)
