"""What the methods read from the demo: deterministic, balanced, held out, and clear about what it does not know."""

from __future__ import annotations

import random
import re
import subprocess
import sys

import pytest

from engine.data import data_hash
from engine.demo import data
from engine.demo.corpus import tuned_example
from engine.demo.vocabulary import SPLITS, nouns, requests
from engine.errors import EngineError


def test_data_and_weights_import_nothing_heavy() -> None:
    program = (
        "import sys, engine.demo, engine.demo.data, engine.demo.weights;"
        "print([m for m in ('torch', 'transformers', 'tokenizers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("behavior", data.BEHAVIORS)
def test_every_behavior_has_pairs_prompts_and_a_judge(behavior: str) -> None:
    pairs = data.contrast_pairs(behavior)
    assert len(pairs) == 80
    assert len({pair.id for pair in pairs}) == 80
    assert all(pair.positive != pair.negative for pair in pairs)
    assert data.JUDGE_OF[behavior] in data.JUDGE_ATTRIBUTES
    assert len({prompt.id for prompt in data.open_prompts(behavior)}) >= 40


@pytest.mark.parametrize("behavior", data.BEHAVIORS)
def test_data_are_the_same_on_every_call(behavior: str) -> None:
    assert data_hash(data.contrast_pairs(behavior)) == data_hash(data.contrast_pairs(behavior))
    assert data_hash(data.open_prompts(behavior)) == data_hash(data.open_prompts(behavior))


def test_fewer_pairs_are_the_first_of_all_pairs() -> None:
    assert data.contrast_pairs("agree", n=6) == data.contrast_pairs("agree")[:6]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_each_ab_question_comes_in_both_orders(split: data.HeldOut) -> None:
    items = data.ab_items("agree", split)
    assert [item.matching for item in items] == ["A", "B"] * (len(items) // 2)
    for a, b in zip(items[::2], items[1::2], strict=True):
        first, second = a.chat[0].content.splitlines(), b.chat[0].content.splitlines()
        assert first[0] == second[0]
        assert [first[1][2:], first[2][2:]] == [second[2][2:], second[1][2:]]


def test_letter_pairs_end_at_the_letter_and_use_each_letter_equally() -> None:
    pairs = data.contrast_pairs("agree", "letter")
    ends = [pair.positive[-1].content for pair in pairs]
    assert ends.count("Yes, A") == ends.count("Yes, B") == len(pairs) / 2
    assert all(pair.negative[-1].content in ("No, A", "No, B") for pair in pairs)


def test_refuse_prompts_name_their_side() -> None:
    sides = [prompt.id.split("-")[0] for prompt in data.open_prompts("refuse")]
    assert sides.count("harmful") == sides.count("harmless") == 40


def test_no_held_out_noun_or_request_is_ever_trained_on() -> None:
    r = random.Random("held out")
    seen: set[str] = set()
    texts = []
    for _ in range(20_000):
        chat, answer = tuned_example(r)
        texts += [message.content for message in chat] + [answer]
        seen.update(re.findall(r"[a-z]+", " ".join(texts[-3:])))
    everything = "\n".join(texts)
    for split in ("validation", "test"):
        assert not seen & set(nouns(split))
        for harmful in (True, False):
            assert not [deed for deed in requests(harmful, split) if re.search(rf"\b{deed}\b", everything)]


def test_splits_share_no_noun_and_no_request() -> None:
    for draw in (nouns, lambda split: requests(True, split), lambda split: requests(False, split)):
        words = [word for split in SPLITS for word in draw(split)]
        assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: data.contrast_pairs("humour"), ["'humour'", "agree", "refuse"]),
        (lambda: data.contrast_pairs("polite", "letter"), ["'polite'", "agree"]),
        (lambda: data.ab_items("refuse"), ["'refuse'", "agree"]),
        (lambda: data.open_prompts("humour"), ["'humour'", "happy"]),
        (lambda: data.judge_chat("honest", "q", "a"), ["'honest'", "agreeing", "courteous"]),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(call, words: list[str]) -> None:
    with pytest.raises(EngineError) as error:
        call()
    assert all(word in str(error.value) for word in words)
