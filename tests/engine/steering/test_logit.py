"""Vectors of log-odds (§2.3): what they are, and of what they are made; the published numbers are P3 in test_parity."""

from __future__ import annotations

import pytest
import torch
from concept_erasure import LeaceFitter
from hypothesis import given
from hypothesis import strategies as st

from engine.chats import encode_chat
from engine.data import ABItem, Contrast, Example, Message
from engine.errors import EngineError, InputError
from engine.families import Site
from engine.models import load
from engine.steering.logit import check_letters, letter_odds, odds_weights
from engine.steering.reading import read_group


@pytest.fixture(scope="module")
def demo():
    return load("demo")


@pytest.fixture(scope="module")
def contrast() -> Contrast:
    """Questions of two options in the demo's words, whose matching letter is A and B in turn."""
    sides: dict[str, list[Example]] = {"positive": [], "negative": []}
    for number, thing in enumerate(["papayas", "badgers", "blankets", "chapels", "tankers", "orchards"]):
        chat = (Message("user", f"I think {thing} are heavy.\nA True\nB False"),)
        item = ABItem(f"{number}", chat, "AB"[number % 2], ("Yes,",), (" A", " B"))
        for side, letter in (("positive", item.matching), ("negative", "BA"[number % 2])):
            sides[side].append(Example(item.id, (*chat, Message("assistant", f"Yes, {letter}")), item))
    return Contrast({side: tuple(examples) for side, examples in sides.items()}, "positive")


def by_hand(demo, contrast):
    """One by one: the state behind block 1 before the letter, and z there."""
    states, z = [], []
    for example in contrast.classes["positive"]:
        ids = encode_chat(demo.tokenizer, example.chat).ids
        other = (*example.chat[:-1], Message("assistant", "Yes, B" if example.chat[-1].content == "Yes, A" else "Yes, A"))
        with torch.inference_mode():
            out = demo.model(torch.tensor([ids[:-1]]), output_hidden_states=True)
        states.append(out.hidden_states[2][0, -1].double())
        logits = out.logits[0, -1].double()
        z.append((logits[ids[-1]] - logits[encode_chat(demo.tokenizer, other).ids[-1]]).item())
    return torch.stack(states), torch.tensor(z, dtype=torch.float64)


def test_z_is_the_letters_log_odds_where_it_is_predicted(demo, contrast):
    _, z = by_hand(demo, contrast)
    odds = letter_odds(demo, contrast, batch_size=4)
    torch.testing.assert_close(odds.z, z, atol=1e-4, rtol=0)
    assert z.std() > 0.1
    ids = encode_chat(demo.tokenizer, contrast.classes["positive"][1].chat).ids
    assert odds.sequences[1] == ids[:-1]


def test_the_vector_is_the_librarys_covariance_over_the_deviation(demo, contrast):
    x, z = by_hand(demo, contrast)
    fitter = LeaceFitter.fit(x, z)
    expected = fitter.sigma_xz.squeeze(-1) / z.std()
    made = read_group(demo, {"": contrast}, [Site(1)], logit=True, keep=True, batch_size=4)[""]
    torch.testing.assert_close(made.vectors[Site(1)].vector.double(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(made.vectors[Site(1)].mean.double(), x.mean(0), atol=1e-4, rtol=0)
    assert made.states[Site(1)].keys() == {"positive"}
    torch.testing.assert_close(made.states[Site(1)]["positive"].double(), x, atol=1e-4, rtol=0)
    assert made.examples == 6


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=30).filter(lambda z: max(z) - min(z) > 1e-3), st.integers(0, 99))
def test_weights_give_covariance_over_deviation(z, seed):
    odds = torch.tensor(z, dtype=torch.float64)
    x = torch.randn(len(z), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = torch.cov(torch.stack([x, odds]))[0, 1] / odds.std()
    assert (odds_weights(odds) @ x).item() == pytest.approx(expected.item(), abs=1e-9)
    assert (odds_weights(odds) @ (x + 1e3)).item() == pytest.approx(expected.item(), abs=1e-8)


@pytest.mark.parametrize(
    ("z", "kind", "word"),
    [([1.0], InputError, "two examples"), ([2.0, 2.0], EngineError, "same"), ([1.0, float("nan")], EngineError, "NaN")],
)
def test_log_odds_that_mean_nothing_are_refused(z, kind, word):
    with pytest.raises(kind, match=word):
        odds_weights(torch.tensor(z, dtype=torch.float64))


def test_a_contrast_without_letters_is_refused(contrast):
    check_letters(contrast)
    question = Example("q", (Message("user", "Why?"),))
    with pytest.raises(InputError, match=r"q does not end in an answer letter.*--contrast ab or abcon"):
        check_letters(Contrast({"positive": (question,), "negative": (question,)}, "positive"))
