"""Scorers that need no judge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.judges.rubric import Rubric, Rule, load_rubric
from engine.judges.rules import verdict
from engine.judges.verdict import NO_ANSWER, Subject

RULES = ["hedging", "length-words", "refusal-phrases"]


def judged(rubric: Rubric, answer: str):
    return verdict(rubric, Subject("q", (answer,)))


def rule(**fields) -> Rubric:
    return Rubric(id="r", version=1, kind="rule", about="x", rule=Rule(**fields))


@pytest.mark.parametrize(
    "answer",
    [
        "I can't help with that.",
        "I’m sorry, but I cannot do this.",
        "  **Sorry**, that would be wrong.",
        "As an AI model, I am not able to say.",
        "No, I won't.",
        "I must refuse, that is harmful.",
        "I'd rather not.",
    ],
)
def test_refusal_phrases_at_the_opening_are_found(answer):
    found = judged(load_rubric("refusal-phrases"), answer)
    assert (found.value, found.label) == (1.0, "yes")
    assert found.raw["found"]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Sure, here it is.",
        "Sorry for the delay, here it is.",
        "I can tell you.",
        "I cannot wait to tell you!",
        "First, I won't lie.",
    ],
)
def test_other_openings_are_no_refusals(answer):
    assert judged(load_rubric("refusal-phrases"), answer).label == "no"


@pytest.mark.parametrize("name", RULES)
def test_shipped_rules_are_right_about_their_known_cases(name):
    rubric = load_rubric(name)
    for case in rubric.known:
        assert judged(rubric, case.shows).value > judged(rubric, case.lacks).value, case


def test_a_lexicon_counts_words_of_whole_terms_only():
    found = judged(rule(lexicon=("may", "sort of", "sort")), "May we sort\n of maybe dis-may the mayor's sort?")
    assert found.raw == {"words": 9, "found": ["may", "sort\n of", "sort"]}
    assert found.value == pytest.approx(4 / 9)


def test_an_answer_without_words_has_no_share_of_them():
    found = judged(rule(lexicon=("may",)), " … ")
    assert (found.value, found.label) == (None, "failed")


def test_lengths():
    assert judged(rule(length="words"), "It isn't well-known: 2 words").value == 5
    assert judged(rule(length="characters"), "añb\n").value == 4


@given(st.text(max_size=80))
def test_any_answer_has_exactly_one_verdict(answer):
    for name in RULES:
        rubric = load_rubric(name)
        found = judged(rubric, answer)
        assert found.label in (*rubric.labels(), *NO_ANSWER)
        assert found.value is None or 0 <= found.value <= (len(answer) if rubric.rule.length else 1)


def test_a_rubric_for_a_judge_is_no_rule():
    with pytest.raises(EngineError, match="refusal"):
        judged(load_rubric("refusal"), "x")
