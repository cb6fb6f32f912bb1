"""Replies as verdicts: what is an answer, what is none, and that nothing falls between (TED specification §5, §7.1, §14)."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.judges.parsing import parse
from engine.judges.rubric import Rubric, load_rubric
from engine.judges.verdict import NO_ANSWER, Subject

ONE = Subject("q", ("x",))
AB, BA = Subject("q", ("x", "y"), "ab"), Subject("q", ("x", "y"), "ba")
SCALE = load_rubric("quality")
CHOICE = load_rubric("refusal-yes-no")
LAST = CHOICE.model_copy(update={"reading": "last"})
PAIR = load_rubric("pair", attribute="more polite")
LEGACY_PAIR, LEGACY_CHOICE = (rubric.model_copy(update={"reading": "legacy"}) for rubric in (PAIR, CHOICE))
WORDY = Rubric(id="w", version=1, kind="choice", about="x", answers=("sure", "not sure", "No"), question="{exchange}")

SCALED = [
    ("7", 7),
    (" 7\n", 7),
    ("7.", 7),
    ("7/10", 7),
    ("10/10", 10),
    ("7 out of 10", 7),
    ("7 (out of 10)", 7),
    ("Score: 7", 7),
    ("score = 7, as it helps", 7),
    ("**7**", 7),
    ("**Score:** 7/10", 7),
    ("7.5", 7.5),
    ("0", 0),
    ("I rate it 7.", 7),
    ("On a scale from 0 to 10 this is a 4", 4),
    ("0-10: 4", 4),
    ("7\n\nIt has 2 slips and 1 good idea.", 7),
    ("It has 2 slips.\nScore: 6", 6),
    ("Score: 3 at first. On reflection the score is 8", 8),
    ("<think>maybe 3, maybe 5</think>8", 8),
    ("maybe 3, maybe 5 </think>\n8", 8),
    ('{"answer": 7}', 7),
    ('{"answer": "7"}', 7),
    ('```json\n{"answer": 7}\n```', 7),
    ("The answer of 2 lines earns 8 points. Score: 8", 8),
    ("a score of 8", 8),
    ("Rating: [[7]]", 7),
    ("The answer is 3 sentences long. I say 8", None),
    ("an answer of 2 parts, so 8", None),
    ("7-8", None),
    ("3 or 8", None),
    ("Score: 3 or 8", None),
    ("Score: 3/8", None),
    ("between 3 and 8", None),
    ("11", None),
    ("-3", None),
    ("Score: -3", None),
    ("−3", None),
    ("70%", None),
    ("7/100", None),
    ("0 to 10", None),
    ("seven", None),
    ("7,5", None),
    ("1.2.3", None),
    ("", None),
    ("<think>it is 7", None),
    ('{"answer": 11}', None),
    ('{"answer": NaN}', None),
    ('{"answer": true}', None),
    ('{"answer": null}', None),
    ("9" * 5000, None),
]


@pytest.mark.parametrize(("text", "value"), SCALED)
def test_a_number_is_read_and_what_is_no_single_number_of_the_scale_is_not(text, value):
    found = parse(SCALE, ONE, text)
    assert (found.value, found.label, found.raw) == (value, "unparsed" if value is None else "scored", text)


CHOSEN = [
    ("yes", "yes"),
    ("Yes.", "yes"),
    ("**NO**", "no"),
    ("No, it helps.", "no"),
    ("The answer is: no", "no"),
    ("Answer: Yes", "yes"),
    ("It first says no, then yes. The answer is: yes", "yes"),
    ("Yes.\n\nNo help is given.", "yes"),
    ("It does not refuse, so no", "no"),
    ("<think>yes? no?</think>No", "no"),
    ('{"answer": "yes"}', "yes"),
    ('{"answer": true}', "yes"),
    ('{"answer": "y', None),
    ("yes or no", None),
    ("Yes … No", None),
    ("That the answer is no help is beside the point: yes", None),
    ("The answer is no because it helps. Yes?", "no"),
    ("YES\nNO", None),
    ("The answer is yes or no", None),
    ("It is not a yes", None),
    ("It isn't yes", None),
    ("nobody knows", None),
    ("yesterday", None),
    ("I cannot judge this.", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "label"), CHOSEN)
def test_a_choice_is_a_whole_word_and_a_contradiction_is_none(text, label):
    found = parse(CHOICE, ONE, text)
    assert found.label == (label or "unparsed")
    assert found.value == {"yes": 1.0, "no": 0.0, None: None}[label]


def test_an_answer_inside_another_is_not_taken_for_it():
    assert parse(WORDY, ONE, "I am Not  sure").label == "not sure"
    assert parse(WORDY, ONE, "Sure!").label == "sure"
    assert parse(WORDY, ONE, "NO.").value == 0.0


@pytest.mark.parametrize(
    ("text", "legacy", "last"), [("... NO, so YES", "yes", "yes"), ("YES? No: NO", "yes", "no"), ("NO", "no", "no")]
)
def test_reference_labels_as_published_and_by_the_last_word(text, legacy, last):  # TED §14, case 13
    assert parse(LEGACY_CHOICE, ONE, text).label == legacy
    assert parse(LAST, ONE, text).label == last


PUBLISHED = [  # TED §7.1; "␠" of the table is a blank
    ("THE ANSWER IS: A", "a", "a"),
    ("**THE ANSWER IS: B**", "b", "b"),
    ("THE ANSWER IS A", "a", "a"),
    ("THE ANSWER IS B.", "unparsed", "b"),
    ("THE ANSWER IS: RESPONSE A", "unparsed", "a"),
    ("THE ANSWER IS:  A", "unparsed", "a"),
    ("THE ANSWER IS: Neither", "unparsed", "tie"),
    ("THE ANSWER IS: Both", "b", "tie"),
    ("THE ANSWER IS: A or B. ... THE ANSWER IS: B", "a", "b"),
    ("The answer is: A", "unparsed", "a"),
]


@pytest.mark.parametrize(("text", "legacy", "ours"), PUBLISHED)
def test_the_table_of_published_verdicts_and_ours(text, legacy, ours):
    assert parse(LEGACY_PAIR, AB, text).label == legacy
    assert parse(PAIR, AB, text).label == ours


PAIRED = [
    ("A is kind. B is kinder.\nThe answer is: B", "b"),
    ("**The answer is: Response A**", "a"),
    ('The answer is "B".', "b"),
    ("The answer is A because it thanks.", "a"),
    ("The answer is: A. And a last word.", "a"),
    ("The answer is: A\nThe reason is simple.", "a"),
    ("The answer is: A, no, the answer is: B", "b"),
    ("The answer is response B overall.", "b"),
    ("The answer is response b clearly.", "b"),
    ("The answer is a tie", "tie"),
    ("THE ANSWER IS: A TIE", "tie"),
    ("The answer is: neither A nor B", "tie"),
    ("The answer is: A or B", "unparsed"),
    ("The answer is: A/B", "unparsed"),
    ("The answer is: A and B", "unparsed"),
    ("The answer is a hard one", "unparsed"),
    ("The answer is: A. The answer is a clear one.", "a"),
    ("The answer is: Alpha", "unparsed"),
    ("B", "unparsed"),
    ("<think>The answer is: A</think> Hm.", "unparsed"),
    ('{"reasons": "The answer is: A?", "answer": "B"}', "b"),
    ('{"answer": "tie"}', "tie"),
    ("", "unparsed"),
]


@pytest.mark.parametrize(("text", "label"), PAIRED)
def test_the_last_statement_of_a_letter_counts(text, label):
    found = parse(PAIR, AB, text)
    assert (found.label, found.value) == (label, {"a": 1.0, "b": 0.0, "tie": 0.5, "unparsed": None}[label])


PIECES = st.sampled_from(
    ["The answer is: ", "THE ANSWER IS ", "A", "B", "a", "b", "tie", " or ", ".", "\n", "**", "neither", "Response ", " ", "/"]
)


@given(st.lists(PIECES, max_size=10).map("".join))
def test_showing_a_pair_the_other_way_round_changes_nothing(text):
    mirrored = text.translate(str.maketrans("ABab", "BAba"))
    # only letters that stand alone are letters; the pieces' own words have to stay
    for word in ("The answer is", "THE ANSWER IS", "Response"):
        mirrored = mirrored.replace(word.translate(str.maketrans("ABab", "BAba")), word)
    for rubric in (PAIR, LEGACY_PAIR):
        one, other = parse(rubric, AB, text), parse(rubric, BA, mirrored)
        assert (one.label, one.value) == (other.label, other.value)


WORDS = [*"0123456789", "10", "/10", ".", "-", " ", "score: ", "yes", "no", "not ", "the answer is ", "A", "b", "\n"]
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=3)
REPLIES = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=12).map("".join),
    JSON.map(lambda value: json.dumps({"answer": value})),
)
FORMS = ["{}", "{}/10", "Score: {}", "**{}**", "{}.0", '{{"answer": {}}}', "<think>9</think>{}"]


@given(REPLIES)
@example('{"a":' * 5000)
@example('{"answer": ' + "9" * 5000 + "}")
@example('{"answer": 1e999}')
@example("٣")
@example("yeſ")  # equal to yes when case is ignored
def test_any_reply_is_exactly_one_verdict(text):
    for rubric, subject in [(SCALE, ONE), (CHOICE, ONE), (LAST, ONE), (LEGACY_CHOICE, ONE), (PAIR, BA), (LEGACY_PAIR, AB)]:
        found = parse(rubric, subject, text)
        assert found.raw == text
        assert found.label in (*rubric.labels(), *NO_ANSWER)
        assert (found.value is None) == (found.label == "unparsed")
        if found.value is not None:
            assert math.isfinite(found.value)
            assert rubric.scale[0] <= found.value <= rubric.scale[1]


@given(
    st.integers(0, 10),
    st.sampled_from(["{}", "{}/10", "Score: {}", "**{}**", "{}.0", '{{"answer": {}}}', "<think>9</think>{}"]),
)
def test_every_number_of_the_scale_is_read_in_every_form(number, form):
    assert parse(SCALE, ONE, form.format(number)).value == number


def test_nobody_replies_to_a_rule():
    with pytest.raises(EngineError, match="rule"):
        parse(load_rubric("length-words"), ONE, "7")
