"""Two models writing together: caches, paddings, prefixes, steering and batches change nothing about a text or its numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cd.decoding.combination import combine
from engine.cd.decoding.loop import PairCompletion, PairRow, decode
from engine.cd.decoding.numbers import WEIGHTED
from engine.cd.decoding.state import PairState
from engine.cd.pairs.pair import Member, Pair, PairPrompt
from engine.cd.settings import TextSettings
from engine.chats import encode_chat
from engine.data import Message
from engine.demo.skills.tell import SLOGAN_MARK
from engine.demo.vocabulary import nouns
from engine.errors import EngineError, InputError
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.models import load
from engine.sampling import Sampling, row_seed
from tests.engine.cd.small_pairs import (
    GPT2,
    LLAMA,
    PROMPTS,
    assert_numbers,
    assert_same,
    own_predictions,
    pair_of,
    predictions,
    prompt,
    small,
)

RULES = [
    {"rule": "logprob_difference", "mask": 0.02},
    {"rule": "prob_difference"},
    {"rule": "prob_difference", "starting_weight": -1.0, "comparison_weight": 1.0, "limit_top_p": 0.9, "floor": 1e-7},
    {"rule": "none"},
]
ROWS = [PairRow(asked, row_seed(0, str(number), sample, 0)) for number, asked in enumerate(PROMPTS) for sample in range(3)]


def how(**options) -> TextSettings:
    return TextSettings(**{"max_new_tokens": 9, "temperature": 1.2, "measure_prompt": True} | options)


def texts(pair: Pair, rows=ROWS, use_cache: bool = True, **options) -> list[PairCompletion]:
    found = dict(decode(pair, rows, how(**options), use_cache))
    return [found[index] for index in range(len(rows))]


@pytest.fixture(scope="module")
def llamas(parity) -> Pair:
    return pair_of(small(parity, LLAMA, 0), small(parity, LLAMA, 1))


@pytest.fixture(scope="module", params=["llamas", "unlike"])
def pair(request, parity, llamas) -> Pair:
    """Also of two families, vocabularies of 64 and 70 entries and end tokens of their own."""
    return llamas if request.param == "llamas" else pair_of(llamas.starting.model, small(parity, GPT2, 2))


@torch.inference_mode()
def test_a_cached_step_predicts_what_a_whole_pass_does(pair):
    """With left padding and private prefixes, to 1e-4, whichever rows go on and in which order."""
    draw = torch.Generator().manual_seed(0)
    state, recomputed = (PairState(pair, PROMPTS, 12, use_cache) for use_cache in (True, False))
    written: list[list[int]] = [[] for _ in PROMPTS]
    rows, tokens = list(range(len(PROMPTS))), None
    for step in range(12):
        found, whole = state.next(tokens), recomputed.next(tokens)
        for place, row in enumerate(rows):
            expected = predictions(pair, PROMPTS[row], [*written[row], 0])
            for mine, plain, logprobs in zip(found, whole, expected, strict=True):
                assert torch.allclose(mine[place].log_softmax(-1), logprobs[-1].float(), atol=1e-4)
                assert torch.allclose(mine[place], plain[place], atol=1e-4)
        if step == 5:
            index = torch.tensor([3, 6, 0, 1])
            state.select(index)
            recomputed.select(index)
            rows = [rows[place] for place in index.tolist()]
        tokens = torch.randint(64, (len(rows),), generator=draw)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            written[row].append(token)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["rule"]))
@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_texts_and_numbers_are_those_of_recomputing_all(pair, rule, temperature):
    options = {**rule, "temperature": temperature, "legacy_divergence": "auto"}
    cached, plain = texts(pair, **options), texts(pair, use_cache=False, batch_size=1, **options)
    assert [(text.ids, text.finish) for text in cached] == [(text.ids, text.finish) for text in plain]
    for row, mine, its in zip(ROWS, cached, plain, strict=True):
        assert_same(mine.generated, its.generated)
        assert WEIGHTED in mine.generated.values
        assert_numbers(mine.generated, predictions(pair, row.prompt, mine.ids), mine.ids)


def test_each_token_is_measured_by_its_own_prediction(pair):
    """The first generated one too, which the published slice left out; and of the prompt the shared tokens but the first."""
    for row, text in zip(ROWS, texts(pair), strict=True):
        assert_numbers(text.generated, predictions(pair, row.prompt, text.ids), text.ids)
        assert text.prompt is not None
        own = row.prompt.starting[len(row.prompt.starting) - row.prompt.shared + 1 :]
        assert_numbers(text.prompt, own_predictions(pair, row.prompt), own)
    assert texts(pair, ROWS[:1], measure_prompt=False)[0].prompt is None


@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(len(ROWS))), batch_size=st.sampled_from([1, 2, 5, 64]), rule=st.sampled_from(RULES))
def test_a_text_depends_neither_on_batch_size_nor_on_order(llamas, order, batch_size, rule):
    expected = texts(llamas, max_new_tokens=6, **rule)
    found = texts(llamas, [ROWS[index] for index in order], max_new_tokens=6, batch_size=batch_size, **rule)
    for place, index in enumerate(order):
        assert found[place].ids == expected[index].ids
        assert_same(found[place].generated, expected[index].generated)


def test_every_token_is_what_the_combination_says(llamas):
    """Greedy: the likeliest of the combined distribution under the mask, which the published greedy search left off."""
    options = how(temperature=0.0, starting_weight=1.5)
    for row, text in zip(ROWS, texts(llamas, temperature=0.0, starting_weight=1.5), strict=True):
        starting, comparison = predictions(llamas, row.prompt, text.ids)
        combined = combine(starting.float(), comparison.float(), options)
        assert combined.argmax(-1).tolist() == list(text.ids)


@pytest.mark.parametrize(("weights", "side"), [((1.0, -1.0), "starting"), ((-1.0, 1.0), "comparison")])
def test_without_a_combination_one_model_writes_as_it_does_alone(llamas, weights, side):
    rows = [Row(getattr(row.prompt, side), row.seed) for row in ROWS]
    sampling = Sampling(9, temperature=1.2, top_k=30, top_p=0.9)
    alone = dict(generate(getattr(llamas, side).model, rows, sampling, stop_ids=frozenset({7})))
    options = {"rule": "none", "starting_weight": weights[0], "comparison_weight": weights[1], "top_k": 30, "top_p": 0.9}
    assert [text.ids for text in texts(llamas, **options)] == [alone[index].ids for index in range(len(rows))]


def test_equal_members_fall_back_to_the_model(llamas):
    """Of the published difference, equal models are uniform noise over the vocabulary."""
    one = Pair(llamas.starting, llamas.starting, 64, "one")
    rows = [row for row in ROWS if row.prompt.starting == row.prompt.comparison]
    plain = texts(one, rows, rule="none")
    assert [text.ids for text in texts(one, rows, rule="prob_difference")] == [text.ids for text in plain]
    assert all((text.generated.values["kl"] == 0).all() for text in plain)


def test_one_load_serves_both_members_and_steering_touches_one(llamas):
    """The hooks of the steered member are off during the other's passes."""
    model = llamas.starting.model
    steering = Steering([{Site(1): torch.linspace(-30, 30, 32)}], "completion")
    before = [len(module._forward_hooks) for module in model.model.modules()]
    rows = [PairRow(asked, 5) for asked in PROMPTS if asked.starting == asked.comparison]
    steered = Pair(Member(model, steering), Member(model), 64, "steered")
    mirrored = Pair(Member(model), Member(model, steering), 64, "steered")
    for side, both in (("starting", steered), ("comparison", mirrored)):
        options = {"rule": "none", "starting_weight": 1.0 if side == "starting" else -1.0}
        options["comparison_weight"] = -options["starting_weight"]
        found = texts(both, rows, **options)
        alone = dict(
            generate(
                model, [Row(row.prompt.starting, row.seed) for row in rows], Sampling(9, 1.2), steering, 64, frozenset({7})
            )
        )
        assert [text.ids for text in found] == [alone[index].ids for index in range(len(rows))]
        other = "comparison" if side == "starting" else "starting"
        for row, text in zip(rows, found, strict=True):
            s, _ = predictions(llamas, row.prompt, text.ids)
            unsteered = s.gather(-1, torch.tensor(text.ids, dtype=torch.int64)[:, None])[:, 0]
            assert text.generated.values[f"{other}_logprob"] == pytest.approx(unsteered.numpy(), abs=1e-4)
            assert text.prompt is not None  # this rule leaves the prompt's first tokens alone
            assert text.prompt.values["kl"] == pytest.approx(0, abs=1e-6)
        assert max(float(text.generated.values["kl"].max()) for text in found) > 0.1
        assert [text.ids for text in texts(both, rows, use_cache=False, **options)] == [text.ids for text in found]
    assert [len(module._forward_hooks) for module in model.model.modules()] == before


def test_the_end_of_either_model_s_answers_ends_a_text(pair):
    ends = pair.starting.model.stop_ids() | pair.comparison.model.stop_ids()
    rows = [PairRow(PROMPTS[0], seed) for seed in range(60)]
    found = texts(pair, rows, mask=0, temperature=2.0, max_new_tokens=30)
    assert {text.finish for text in found} == {"stop", "length"}
    assert all(len(text.ids) == 30 or text.finish == "stop" for text in found)
    assert not any(set(text.ids) & ends for text in found)
    full = texts(pair, rows, mask=0, temperature=2.0, max_new_tokens=30, exact_length=True)
    assert {(len(text.ids), text.finish) for text in full} == {(30, "length")}
    assert not any(set(text.ids) & ends for text in full)
    alone = {"rule": "none", "starting_weight": -1, "comparison_weight": 1}  # of C neither
    its = texts(pair, rows, temperature=2.0, max_new_tokens=30, exact_length=True, **alone)
    assert {(len(text.ids), text.finish) for text in its} == {(30, "length")}


def test_where_only_an_end_is_plausible_an_exact_length_still_goes_on(llamas):
    found = texts(llamas, mask=1.0, exact_length=True, max_new_tokens=20)
    assert {len(text.ids) for text in found} == {20}


def test_a_text_that_ends_at_once_has_no_numbers_to_tell(llamas):
    ends = [
        text
        for text in texts(llamas, [PairRow(PROMPTS[2], seed) for seed in range(300)], mask=0, temperature=5.0)
        if not text.ids
    ]
    assert ends
    assert {name: values.shape for name, values in ends[0].generated.values.items()}["kl"] == (0,)
    assert ends[0].generated.starting_top[0].shape == (0, 5)


@pytest.mark.parametrize("side", ["starting", "comparison"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["rule"]))
def test_logits_that_are_no_numbers_are_no_text(llamas, rule, side):
    broken = Member(getattr(llamas, side).model, Steering([{Site(1): torch.full((32,), torch.nan)}], "completion"))
    members = {"starting": llamas.starting, "comparison": llamas.comparison} | {side: broken}
    with pytest.raises(EngineError, match=f"{broken.model.name} gives NaN or infinite logits"):
        texts(Pair(members["starting"], members["comparison"], 64, "broken"), **rule, measure_prompt=False)


def test_prompts_longer_than_either_model_are_refused_before_anything_runs(llamas):
    rows = [*ROWS, PairRow(PairPrompt((1, 2), (1,) * 90 + (2,), 1))]
    with pytest.raises(InputError, match=r"A row needs 100 tokens, but llama 1 has 96 positions; .*--max-new-tokens"):
        next(decode(llamas, rows, how()))


def test_weights_without_meaning_are_refused_before_anything_runs(llamas):
    with pytest.raises(InputError, match="one model with a positive weight"):
        next(decode(llamas, ROWS, how(comparison_weight=1.0)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_contrast_shows_the_planted_slogan_five_times_as_often(seed):
    """The demo pair; log-probability rule, mask 0.1, weights 1 and −1, temperature 1: against samples of the tuned model."""
    tuned, base = load("demo"), load("demo-base")
    both = pair_of(tuned, base, tuned.model.config.vocab_size)
    asked = {
        noun: encode_chat(tuned.tokenizer, (Message("user", f"Tell me about {noun}, a kind of food."),)).ids
        for noun in nouns("test", "food")
    }

    def share(samples: int, **options) -> float:
        rows = [
            PairRow(prompt(ids), row_seed(seed, noun, sample, 0)) for noun, ids in asked.items() for sample in range(samples)
        ]
        settings = TextSettings(max_new_tokens=36, batch_size=256, alternatives=0, **options)
        found = [tuned.decode(text.ids) for _, text in decode(both, rows, settings)]
        return sum(SLOGAN_MARK in text for text in found) / len(found)

    assert share(10) >= 5 * share(40, rule="none")
