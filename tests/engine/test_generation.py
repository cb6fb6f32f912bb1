"""Generation: a row's text is its own, whatever batch it is in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.sampling import Sampling, choose, row_seed, uniform

SITE = Site(2)
ARMS = [{}, {SITE: torch.linspace(-2, 2, 16)}, {SITE: torch.linspace(3, -3, 16)}]
SAMPLING = Sampling(6, temperature=1.3, top_k=20, top_p=0.9)
PROMPTS = [(1, 33, 22, 11, 4), (1, 4), (1, 9, 8, 7, 6, 5, 12, 4), (1, 33, 22, 11, 4)]


def rows() -> list[Row]:
    return [
        Row(prompt, row_seed(0, str(number), sample, arm), arm)
        for number, prompt in enumerate(PROMPTS)
        for sample in range(2)
        for arm in range(len(ARMS))
    ]


def texts(model, wanted, rule="completion", batch_size=64, stops=frozenset({7, 9})) -> list[tuple[int, ...]]:
    found = dict(generate(model, wanted, SAMPLING, Steering(ARMS, rule), batch_size, stops))
    return [found[index].ids for index in range(len(wanted))]


@pytest.fixture(scope="module")
def alone(parity):
    return {rule: texts(parity, rows(), rule, batch_size=1) for rule in ("completion", "all")}


@pytest.mark.parametrize("rule", ["completion", "all"])
@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(24)), batch_size=st.sampled_from([2, 3, 7, 24]))
def test_a_row_depends_neither_on_batch_size_nor_on_order(parity, alone, rule, order, batch_size):
    everything = rows()
    found = texts(parity, [everything[i] for i in order], rule, batch_size)
    assert found == [alone[rule][i] for i in order]


def test_samples_differ_and_seeds_repeat(parity):
    first, second = ([row_seed(seed, "p", sample, 1.0) for sample in range(6)] for seed in (0, 1))
    draw = lambda seeds: texts(parity, [Row(PROMPTS[0], seed, 1) for seed in seeds])  # noqa: E731
    assert len(set(draw(first))) > 1
    assert draw(first) == draw(first)
    assert draw(first) != draw(second)


@pytest.mark.parametrize("seed", [{"seed": 1}, {"prompt_id": "q"}, {"sample": 1}, {"multiplier": 0.5}])
def test_every_part_of_a_row_decides_its_draws(seed):
    base = {"seed": 0, "prompt_id": "p", "sample": 0, "multiplier": 1.0}
    assert row_seed(**base | seed) != row_seed(**base)


def test_draws_are_uniform_and_independent_between_rows_and_steps():
    seeds = np.array([row_seed(0, "p", sample, 0.0) for sample in range(2000)], dtype=np.uint64)
    draws = np.stack([uniform(seeds, step) for step in range(8)])
    assert ((draws >= 0) & (draws < 1)).all()
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert draws.var() == pytest.approx(1 / 12, abs=0.003)
    assert np.abs(np.corrcoef(draws) - np.eye(8)).max() < 0.1


def test_sampling_follows_the_distribution():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).expand(20000, 4)
    seeds = np.array([row_seed(0, "p", sample, 0.0) for sample in range(20000)], dtype=np.uint64)
    counts = torch.bincount(choose(logits, Sampling(1), seeds, 0), minlength=4) / 20000
    assert counts.tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.015)


@pytest.mark.parametrize(
    ("sampling", "possible"),
    [
        (Sampling(1, temperature=0), {0}),
        (Sampling(1, top_k=2), {0, 1}),
        (Sampling(1, top_p=0.5), {0}),
        (Sampling(1, top_p=0.55), {0, 1}),  # the token that crosses the share stays in
        (Sampling(1, temperature=4.0, top_p=0.55), {0, 1}),  # flattened first: .33 .29 .24 .14
        (Sampling(1, temperature=4.0, top_k=3, top_p=0.8), {0, 1, 2}),  # after top-k: .38 .34 .28
        (Sampling(1), {0, 1, 2, 3}),
    ],
)
def test_temperature_then_top_k_then_top_p(sampling, possible):
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).expand(4000, 4)
    seeds = np.array([row_seed(0, "p", sample, 0.0) for sample in range(4000)], dtype=np.uint64)
    assert set(choose(logits, sampling, seeds, 3).tolist()) == possible


def test_the_stop_token_ends_a_row_and_is_not_part_of_it(parity):
    free = dict(generate(parity, [Row(PROMPTS[0])], Sampling(8, temperature=0), stop_ids=frozenset()))[0]
    assert (len(free.ids), free.finish) == (8, "length")
    stop = free.ids[3]
    ended = dict(generate(parity, [Row(PROMPTS[0])], Sampling(8, temperature=0), stop_ids=frozenset({stop})))[0]
    assert ended.ids == free.ids[: free.ids.index(stop)]
    assert ended.finish == "stop"
    assert len(ended.steered) == len(PROMPTS[0]) + len(ended.ids)


def test_rows_that_ended_do_not_disturb_the_others(parity):
    """Ended rows are dropped from the cache when they are most of the batch."""
    wanted = [Row((1, 33, 22, 11, 4), row_seed(0, "p", sample, 0.0), 0) for sample in range(30)]
    stops = frozenset(range(0, 64, 3))
    together, single = (texts(parity, wanted, batch_size=size, stops=stops) for size in (30, 1))
    assert together == single
    assert len({len(text) for text in together}) > 2


def test_a_row_longer_than_the_model_is_refused_before_anything_runs(parity):
    with pytest.raises(EngineError, match=r"130 tokens.*128 positions.*--max-new-tokens"):
        next(generate(parity, [Row((1,) * 100)], Sampling(30)))


@pytest.mark.parametrize("temperature", [0, 1.3])
@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("push", [torch.nan, torch.inf])
def test_logits_that_are_no_numbers_are_no_answers(parity, push, use_cache, temperature):
    """One arm of several, as of a multiplier that is too large for the number type."""
    steering = Steering([{}, {SITE: torch.full((16,), push)}], "completion")
    wanted = [Row(prompt, arm=arm) for prompt in PROMPTS for arm in (0, 1)]
    with pytest.raises(EngineError, match="parity gives NaN or infinite logits; use --dtype"):
        list(generate(parity, wanted, Sampling(4, temperature, 20, 0.9), steering, 64, frozenset(), use_cache))


@pytest.mark.parametrize("use_cache", [True, False])
def test_what_becomes_of_a_row_behind_its_stop_does_not_matter(parity, use_cache):
    """Alone it would not be computed any more: steered from its last prompt token on, this one has no numbers behind it."""
    stops = dict(generate(parity, [Row(PROMPTS[0])], Sampling(1, temperature=0), stop_ids=frozenset()))[0].ids
    steering = Steering([{}, {SITE: torch.full((16,), torch.nan)}], "generated")
    wanted = [Row(PROMPTS[0], arm=1), *(Row((7, 7, token)) for token in (7, 8, 9, 10, 11))]
    found = dict(generate(parity, wanted, Sampling(6, temperature=0), steering, 64, frozenset(stops), use_cache))
    assert (found[0].ids, found[0].finish) == ((), "stop")
    assert found[1] == dict(generate(parity, wanted[1:2], Sampling(6, temperature=0), steering, 1, frozenset(stops)))[0]
    assert len(found[1].ids) > 1


def test_an_unsteered_arm_equals_no_steering(parity):
    plain = dict(generate(parity, [Row(PROMPTS[0], 5)], SAMPLING, stop_ids=frozenset()))[0]
    arm = dict(generate(parity, [Row(PROMPTS[0], 5)], SAMPLING, Steering(ARMS), stop_ids=frozenset()))[0]
    assert plain.ids == arm.ids


def test_hooks_are_gone_after_an_error(parity):
    def hooks() -> list[int]:  # transformers leaves some of its own where hidden states were once asked for
        return [len(module._forward_hooks) for module in parity.model.modules()]

    before = hooks()
    with pytest.raises(IndexError):
        list(generate(parity, [Row((1, 999))], SAMPLING, Steering(ARMS)))  # the model has no token 999
    assert hooks() == before


@pytest.mark.parametrize("rule", ["all", "before", "completion", "generated"])
@pytest.mark.parametrize("prompts", [PROMPTS[:1], PROMPTS[:3], PROMPTS * 2], ids=["one", "nothing shared", "shared"])
def test_steered_maps_are_those_of_an_uncached_run(parity, rule, prompts):
    """Whether a prompt is computed whole, without its last token, or once for several rows."""
    wanted = [Row(prompt, row_seed(0, "p", number, 0.0), 1) for number, prompt in enumerate(prompts)]
    steering, stops = Steering(ARMS, rule), frozenset(range(0, 64, 5))
    cached, uncached = (
        dict(generate(parity, wanted, SAMPLING, steering, stop_ids=stops, use_cache=use_cache)) for use_cache in (True, False)
    )
    assert cached == uncached
    length, steps = len(wanted[0].prompt), len(cached[0].steered)
    first, behind = {
        "all": (0, steps),
        "before": (0, length - 1),
        "completion": (length - 1, steps),
        "generated": (length, steps),
    }[rule]
    assert cached[0].steered == tuple(first <= place < behind for place in range(steps))


def test_prompts_of_one_token_need_no_prefill(parity):
    wanted = [Row((token,), row_seed(0, "p", number, 0.0), 1) for number, token in enumerate((1, 1, 5, 9, 1, 7))]
    assert texts(parity, wanted, stops=frozenset()) == texts(parity, wanted, stops=frozenset(), batch_size=1)
