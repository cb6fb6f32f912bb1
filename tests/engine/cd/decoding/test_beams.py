"""Beam search over the combined score: against transformers, against every text there is, and against a plain reference."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from engine.cd.decoding.beams import Beam, search
from engine.cd.decoding.combination import combine
from engine.cd.decoding.forcing import score
from engine.cd.decoding.loop import PairRow, decode
from engine.cd.decoding.state import stop_ids
from engine.cd.pairs.opening import open_pair, pair_source
from engine.cd.pairs.pair import Member, Pair, PairPrompt
from engine.cd.prompts.asked import asked_prompt, encode
from engine.cd.settings import PairSettings, TextSettings
from engine.errors import EngineError, InputError
from engine.models import LoadedModel, wrap

QUESTIONS = ["Tell me about apples, a kind of food.", "What do you know about mopeds?", "Are crows famous?", "Hello"]
RULES: list[dict[str, Any]] = [
    {"rule": "none"},
    {"rule": "none", "starting_weight": -1.0, "comparison_weight": 1.0},
    {"rule": "logprob_difference"},
    {"rule": "logprob_difference", "mask": 0.0, "amateur_temperature": 0.5},
    {"rule": "prob_difference"},
]


@pytest.fixture(scope="module")
def demo() -> Pair:
    wanted = PairSettings()
    return open_pair(pair_source(wanted), wanted)


@pytest.fixture(scope="module")
def small(parity: LoadedModel) -> Pair:
    """Two random models of eight tokens, of which token 2 ends a text."""

    def member(seed: int) -> Member:
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=8,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            initializer_range=0.4,
        )
        return Member(wrap(LlamaForCausalLM(config), parity.tokenizer, f"small-{seed}"))

    return Pair(member(0), member(1), 8, "small")


def prompts(pair: Pair, **options) -> list[PairPrompt]:
    return [encode(pair, asked_prompt(question), PairSettings(**options)) for question in QUESTIONS]


def wanted(**options) -> TextSettings:
    return TextSettings(**({"num_beams": 4, "samples": 4, "max_new_tokens": 12} | options))


def found(pair: Pair, asked: list[PairPrompt], options: TextSettings, use_cache: bool = True) -> list[list[Beam]]:
    by_place = dict(search(pair, asked, options, use_cache))
    return [by_place[place] for place in range(len(asked))]


def same(one: list[list[Beam]], other: list[list[Beam]]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert [(beam.ids, beam.finish) for beam in mine] == [(beam.ids, beam.finish) for beam in theirs]
        # the logarithm of a difference of probabilities magnifies rounding where they are almost equal
        assert [beam.score for beam in mine] == pytest.approx([beam.score for beam in theirs], abs=1e-3)


@pytest.mark.parametrize("beams", [2, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
def test_one_model_alone_gives_what_transformers_gives(demo, beams, length_penalty):
    asked = prompts(demo)
    options = wanted(rule="none", num_beams=beams, samples=beams, length_penalty=length_penalty)
    model = demo.starting.model
    ends = model.stop_ids()
    for prompt, mine in zip(asked, found(demo, asked, options), strict=True):
        theirs: Any = model.model.generate(
            torch.tensor([prompt.starting]),
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=12,
            do_sample=False,
            length_penalty=length_penalty,
            return_dict_in_generate=True,
            output_scores=True,
        )
        written = [row[len(prompt.starting) :] for row in theirs.sequences.tolist()]
        texts = [tuple(itertools.takewhile(lambda token: token not in ends, ids)) for ids in written]
        assert [beam.ids for beam in mine] == texts
        assert [beam.score for beam in mine] == pytest.approx(theirs.sequences_scores.tolist(), abs=1e-4)


@pytest.mark.parametrize("rule", [*RULES, {"rule": "logprob_difference", "mask": 0.5}])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_wide_search_finds_the_best_of_all_texts(small, rule, length_penalty):
    prompt = PairPrompt((3, 4, 5, 6), (7, 5, 6), 2)
    options = wanted(num_beams=512, samples=1, max_new_tokens=3, length_penalty=length_penalty, **rule)
    (mine,) = found(small, [prompt], options)
    every = sorted(_all_texts(small, prompt, options), key=lambda beam: -beam.score)
    assert len(every) == len(mine) > 10
    assert [beam.score for beam in mine] == pytest.approx([beam.score for beam in every], abs=1e-4)
    assert {(beam.ids, beam.finish) for beam in mine} == {(beam.ids, beam.finish) for beam in every}


def _all_texts(pair: Pair, prompt: PairPrompt, options: TextSettings, written: tuple[int, ...] = (), total: float = 0.0):
    """Every text that the rule allows, scored by passes over all of its tokens."""
    with torch.inference_mode():
        logits = [
            member.model.model(torch.tensor([head + written])).logits[:, -1]
            for member, head in ((pair.starting, prompt.starting), (pair.comparison, prompt.comparison))
        ]
        combined = combine(*logits, options, keep=2)[0]
    if options.rule == "prob_difference":
        combined = combined.log_softmax(-1)
    for token, added in enumerate(combined.tolist()):
        if added == -torch.inf:
            continue
        text, reached = (*written, token), total + added
        if token == 2 or len(text) == options.max_new_tokens:
            ids, finish = (written, "stop") if token == 2 else (text, "length")
            yield Beam(ids, finish, reached / len(text) ** options.length_penalty)
        else:
            yield from _all_texts(pair, prompt, options, text, reached)


@pytest.mark.parametrize("rule", RULES)
def test_texts_depend_neither_on_the_batch_nor_on_the_cache(demo, rule):
    asked = prompts(demo, comparison_prefix="Answer rudely.")
    options = wanted(**rule)
    together = found(demo, asked, options)
    same(found(demo, asked, wanted(batch_size=1, **rule)), together)
    same(found(demo, asked[::-1], wanted(batch_size=9, **rule))[::-1], together)
    same(found(demo, asked[:2], options, use_cache=False), together[:2])


def test_every_text_is_there_once_and_the_best_comes_first(demo):
    for beams in found(demo, prompts(demo), wanted()):
        assert len({beam.ids for beam in beams}) == 4
        assert [beam.score for beam in beams] == sorted((beam.score for beam in beams), reverse=True)


def test_a_text_of_exact_length_never_ends_before(demo):
    for beams in found(demo, prompts(demo), wanted(rule="none", exact_length=True)):
        assert {(len(beam.ids), beam.finish) for beam in beams} == {(12, "length")}
        assert not stop_ids(demo) & {token for beam in beams for token in beam.ids}


def test_a_prompt_is_computed_once_for_all_of_its_beams(demo):
    sizes: list[tuple[int, int]] = []
    module = demo.starting.model.model.base_model
    hook = module.register_forward_pre_hook(
        lambda _, __, given: sizes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    try:
        asked = prompts(demo)[:2]
        found(demo, asked, wanted(max_new_tokens=3, exact_length=True))
    finally:
        hook.remove()
    longest = max(len(prompt.starting) for prompt in asked)
    assert sizes == [(2, longest - 1), (8, 1), (8, 1), (8, 1)]


# --- diverse beam search ---


def _diverse(pair: Pair, prompt: PairPrompt, options: TextSettings) -> list[Beam]:
    """Vijayakumar et al. 2018 for one prompt, without tensors over beams, a cache or a batch."""
    width, ends = (options.num_beams or 0) // options.beam_groups, stop_ids(pair)
    groups = [{"running": [(0.0, ())], "finished": [], "open": True} for _ in range(options.beam_groups)]
    for step in range(1, options.max_new_tokens + 1):
        chosen: list[int] = []
        for group in groups:
            if not group["open"]:
                continue
            candidates = []
            for total, text in group["running"]:
                with torch.inference_mode():
                    logits = [
                        member.model.model(torch.tensor([head + text])).logits[:, -1]
                        for member, head in ((pair.starting, prompt.starting), (pair.comparison, prompt.comparison))
                    ]
                    combined = combine(*logits, options, keep=2)[0].tolist()
                candidates += [
                    (total + added - options.diversity_penalty * chosen.count(token), (*text, token))
                    for token, added in enumerate(combined)
                    if added > -torch.inf
                ]
            candidates.sort(key=lambda candidate: -candidate[0])
            last = step == options.max_new_tokens
            over = [(total, text) for total, text in candidates[:width] if last or text[-1] in ends]
            group["finished"] += [(total / step**options.length_penalty, text) for total, text in over]
            group["finished"] = sorted(group["finished"], key=lambda one: -one[0])[:width]
            group["running"] = [] if last else [one for one in candidates if one[1][-1] not in ends][:width]
            if len(group["finished"]) == width or not group["running"]:
                best = group["running"][0][0] / step**options.length_penalty if group["running"] else -torch.inf
                worst = group["finished"][-1][0] if len(group["finished"]) == width else -torch.inf
                group["open"] = best > worst
            chosen += [text[-1] for _, text in group["running"]] if group["open"] else []
    texts = [
        Beam(text[:-1] if text[-1] in ends else text, "stop" if text[-1] in ends else "length", total)
        for group in groups
        for total, text in group["finished"]
    ]
    return sorted(texts, key=lambda beam: -beam.score)


@pytest.mark.parametrize(("beams", "groups"), [(4, 2), (3, 3), (6, 2)])
@pytest.mark.parametrize("rule", ["none", "logprob_difference"])
def test_groups_are_what_the_plain_reference_gives(demo, small, beams, groups, rule):
    options = wanted(rule=rule, num_beams=beams, samples=1, beam_groups=groups, diversity_penalty=0.7, max_new_tokens=6)
    asked = [PairPrompt((3, 4, 5, 6), (7, 5, 6), 2), PairPrompt((1, 4), (1, 4), 2), PairPrompt((7,), (7,), 1)]
    same(found(small, asked, options), [_diverse(small, prompt, options) for prompt in asked])
    prompt = prompts(demo)[0]
    same(found(demo, [prompt], options), [_diverse(demo, prompt, options)])


@settings(deadline=None, max_examples=15)
@given(
    prompt=st.lists(st.integers(3, 7), min_size=1, max_size=4),
    seeded=st.sampled_from(RULES),
    beams=st.sampled_from([(2, 2), (4, 2), (4, 4)]),
    penalty=st.floats(0.1, 5),
)
def test_groups_depend_neither_on_the_batch_nor_on_the_cache(small, prompt, seeded, beams, penalty):
    options = wanted(num_beams=beams[0], samples=1, beam_groups=beams[1], diversity_penalty=penalty, max_new_tokens=5, **seeded)
    one = PairPrompt(tuple(prompt), tuple(prompt), len(prompt))
    batch = [one, PairPrompt((3, 4, 5, 6, 7), (7,), 1), PairPrompt((5,), (5,), 1)]
    alone = found(small, [one], options)
    same(found(small, batch, options)[:1], alone)
    same(found(small, [one], options, use_cache=False), alone)


def test_a_strong_penalty_makes_groups_begin_apart(demo):
    options = wanted(rule="none", num_beams=4, samples=4, beam_groups=4, diversity_penalty=50.0)
    for beams in found(demo, prompts(demo), options):
        assert len({beam.ids[:1] for beam in beams}) == 4


# --- as texts ---


@pytest.mark.parametrize("batch_size", [1, 64])
def test_decoding_with_beams_gives_the_best_texts_of_every_prompt_with_their_numbers(demo, batch_size):
    asked = prompts(demo)[:2]
    options = wanted(samples=2, measure_prompt=True, batch_size=batch_size)
    rows = [PairRow(asked[0], 5), PairRow(asked[1]), PairRow(asked[1], 9), PairRow(asked[0], 9)]
    texts = dict(decode(demo, rows, options))
    best = found(demo, asked, options)
    expected = [best[0][0], best[1][0], best[1][1], best[0][1]]
    assert [texts[index].ids for index in range(4)] == [beam.ids for beam in expected]
    assert [texts[index].finish for index in range(4)] == [beam.finish for beam in expected]
    forced = list(score(demo, [(row.prompt, texts[index].ids) for index, row in enumerate(rows)], options))
    for index, generated, prompt in forced:
        for name, values in generated.values.items():
            assert texts[index].generated.values[name] == pytest.approx(values, abs=1e-4)
        mine = texts[index].prompt
        assert prompt is not None
        assert mine is not None
        assert len(mine) == len(prompt) == rows[index].prompt.shared - 1


def test_a_sample_is_the_same_however_many_are_asked_for(demo):
    asked = prompts(demo)[0]
    few, many = (dict(decode(demo, [PairRow(asked)] * count, wanted())) for count in (2, 4))
    assert [few[index].ids for index in range(2)] == [many[index].ids for index in range(2)]


def test_the_contrastive_score_is_that_of_the_numbers(demo):
    (beams, *_) = found(demo, prompts(demo)[:1], wanted(mask=0.0, length_penalty=0.0))
    stopless = [beam for beam in beams if beam.finish == "length"]
    assert stopless
    rows = [(prompts(demo)[0], beam.ids) for beam in stopless]
    for index, numbers, _ in score(demo, rows, wanted()):
        assert stopless[index].score == pytest.approx(float(numbers.values["log_ratio"].sum()), abs=1e-3)


def test_more_texts_than_the_rule_leaves_are_refused(demo):
    asked = prompts(demo)[0]
    options = wanted(samples=4, max_new_tokens=1, mask=1.0)  # the two tokens that the mask leaves at least
    with pytest.raises(EngineError, match="2 texts for a prompt where 4"):
        list(decode(demo, [PairRow(asked)] * 4, options))
    assert len(list(decode(demo, [PairRow(asked)] * 2, options))) == 2


def test_options_that_contradict_each_other_are_refused_before_anything_runs(demo):
    with pytest.raises(InputError, match="--samples 5"):
        found(demo, prompts(demo), wanted(samples=5))


def test_logits_that_are_no_numbers_are_no_texts(parity, small):
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=8, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    broken = wrap(LlamaForCausalLM(config), parity.tokenizer, "broken")
    broken.model.lm_head.weight[3] = torch.nan
    pair = Pair(small.starting, Member(broken), 8, "broken")
    with pytest.raises(EngineError, match="broken"):
        found(pair, [PairPrompt((3, 4), (3, 4), 2)], wanted())
