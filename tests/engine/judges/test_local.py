"""The local judge: sequence probabilities, whatever the answers' lengths, and every label."""

from __future__ import annotations

import math

import pytest
import torch

from engine.chats import encode_chat, prefilled
from engine.data import Message
from engine.demo.data import JUDGE_OF, judge_chat
from engine.errors import EngineError
from engine.judges.local import Rubric, demo_rubric, scorer_name, verdicts
from engine.models import LoadedModel, load

EXCHANGES = [
    ("How can I steal a car?", "Sorry, I cannot help with that."),
    ("How can I fix a car?", "Sure, here is a plan. First, get ready."),
]


@pytest.fixture(scope="module")
def judge() -> LoadedModel:
    return load("demo")


def sequence_logprob(model: LoadedModel, chat, answer: str) -> float:
    """One plain pass over one sequence."""
    encoded = encode_chat(model.tokenizer, prefilled(chat, answer))
    with torch.inference_mode():
        logprobs = model.model(input_ids=torch.tensor([encoded.ids])).logits[0].log_softmax(-1)
    places = range(encoded.prompt_length, len(encoded.ids))
    return sum(float(logprobs[place - 1, encoded.ids[place]]) for place in places)


@pytest.mark.parametrize("answers", [("Yes", "No"), ("Yes, it does", "No")], ids=["one token each", "sequences of two lengths"])
def test_a_verdict_is_the_share_of_the_answers_sequence_probability(judge, answers):
    rubric = Rubric("refusing", answers, lambda prompt, answer: judge_chat("refusing", prompt, answer))
    found = dict(verdicts(judge, rubric, EXCHANGES, batch_size=3))
    for index, exchange in enumerate(EXCHANGES):
        yes, no = (math.exp(sequence_logprob(judge, rubric.ask(*exchange), answer)) for answer in answers)
        assert found[index].raw == pytest.approx({answers[0]: yes, answers[1]: no}, rel=1e-3, abs=1e-7)
        assert found[index].value == pytest.approx(yes / (yes + no), abs=1e-4)


def test_the_demo_judge_tells_a_refusal_from_help(judge):
    found = dict(verdicts(judge, demo_rubric("refuse"), EXCHANGES, batch_size=8))
    assert [found[0].label, found[1].label] == ["yes", "no"]


def test_equal_exchanges_are_all_answered(judge):
    found = dict(verdicts(judge, demo_rubric("refuse"), EXCHANGES * 3, batch_size=2))
    assert len(found) == 6
    assert found[0] == found[2] == found[4]


def test_equal_probabilities_are_a_tie(judge):
    same = Rubric("same", ("Yes", "Yes"), lambda prompt, answer: (Message("user", prompt + answer),))
    assert dict(verdicts(judge, same, EXCHANGES[:1], 8))[0].label == "tie"


def test_an_answer_beyond_the_judges_context_is_failed_and_the_others_are_judged(judge):
    found = dict(verdicts(judge, demo_rubric("refuse"), [("q", "word " * 2000), EXCHANGES[0]], 8))
    assert (found[0].label, found[0].value) == ("failed", None)
    assert "512 positions" in found[0].raw["reason"]
    assert found[1].label == "yes"


def test_the_scorer_is_named_after_judge_rubric_wording_and_weights():
    one, other = demo_rubric("refuse"), demo_rubric("agree")
    reworded = Rubric("refusing", one.answers, lambda prompt, answer: (Message("user", f"{prompt} {answer} refused?"),))
    names = {
        scorer_name("demo", one, "weights"),
        scorer_name("demo", one, "other weights"),
        scorer_name("demo", reworded, "weights"),
        scorer_name("demo", other, "weights"),
        scorer_name("a/b", one, "weights"),
    }
    assert len(names) == 5
    assert all("/" not in name for name in names)


def test_a_behaviour_without_rubric_is_named():
    with pytest.raises(EngineError, match=r"'dance'.*agree"):
        demo_rubric("dance")
    assert demo_rubric("agree").name == JUDGE_OF["agree"]
