"""Replies, duplicates, splits and letters: properties that hold for any text."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data_making import contrast, phrases, queries
from engine.data_making.contrast import Contrast
from engine.data_making.duplicates import Seen
from engine.data_making.parsing import Unfit, records_of, text_field
from engine.data_making.splits import SPLITS, divided, letters
from engine.data_making.topics import TOPICS, dealt

RECORDS = [{"a": 1}, {"a": 2}]
REPLIES = {
    "bare": (json.dumps(RECORDS), None),
    "under items": (json.dumps({"items": RECORDS}), None),
    "fenced": (f"Sure.\n```json\n{json.dumps(RECORDS)}\n```\nBye.", None),
    "fenced without a language": (f"```\n{json.dumps({'items': RECORDS})}\n```", None),
    "prose": ("I cannot.", "reply without JSON"),
    "cut off": ('[{"a": 1}, {"a"', "reply cut off, raise --max-tokens"),
    "an object": ('{"a": 1}', "reply that is no list"),
    "empty": ("[]", "reply with an empty list"),
    "two blocks": ("```\n[1]\n```\n```\n[2]\n```", "reply with several JSON blocks"),
}


@pytest.mark.parametrize("case", REPLIES)
def test_a_reply_is_read_strictly(case):
    text, reason = REPLIES[case]
    if reason is None:
        assert records_of(text, "stop") == RECORDS
    else:
        with pytest.raises(Unfit, match=reason.replace("-", ".")):
            records_of(text, "length" if case == "cut off" else "stop")


FIELDS = {
    "plain": ({"x": " two \n words "}, "two words"),
    "missing": ({}, "x missing"),
    "no object": (["x"], "no object"),
    "a number": ({"x": 3}, "x is no text"),
    "empty": ({"x": " "}, "x empty"),
    "long": ({"x": "w" * 21}, "x too long"),
    "bracket": ({"x": "Dear [name]"}, "placeholder"),
    "angle": ({"x": "the <city>"}, "placeholder"),
    "brace": ({"x": "the {city}"}, "placeholder"),
    "ellipsis": ({"x": "..."}, "placeholder"),
    "todo": ({"x": "TODO later"}, "placeholder"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_a_field_is_a_text_of_sensible_length_without_blanks(case):
    record, expected = FIELDS[case]
    if case == "plain":
        assert text_field(record, "x", 2, 20) == expected
    else:
        with pytest.raises(Unfit, match=expected):
            text_field(record, "x", 2, 20)


def pair(**changes) -> dict:
    fit = {"question": "Is the sea blue on cloudy days?", "matching": "Yes, it is", "not_matching": "It is grey then"}
    return fit | changes


PAIRS = {
    "letter in an answer": (pair(matching="(A) Yes"), "letter in the text"),
    "letter and bracket": (pair(matching="A) Yes"), "letter in the text"),
    "option named": (pair(not_matching="Not option B"), "letter in the text"),
    "choices in the question": (pair(question="What now?\nChoices: yes or no"), "letter in the text"),
    "same but for the stop": (pair(matching="It is grey then."), "answers are the same"),
    "none of the above": (pair(not_matching="None of the above"), "answer refers to the other"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_contrast_pair_gives_nothing_away(case):
    record, reason = PAIRS[case]
    with pytest.raises(Unfit, match=reason):
        contrast.read(record, "ab")


JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from(["", "yes", "is more so", "Edit RESPONSE kindly", "brisk", "???"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(list(phrases.FIELDS)), inner, max_size=4),
)


@given(JSON)
def test_any_json_is_an_item_or_is_dropped_with_a_reason(record):
    for read in (
        lambda: contrast.read(record, "ab"),
        lambda: queries.read(record, False),
        lambda: phrases.read(record, "ask", "Edit RESPONSE"),
    ):
        with suppress(Unfit):
            assert read()


def test_an_ordinary_a_is_no_letter():
    assert contrast.read(pair(matching="A grey sea is a sea"), "ab").matching == "A grey sea is a sea"


@pytest.mark.parametrize(
    "text", ["Why is it right to lie?", "How come cats win?", "Isn't rain nice?", "Rain is nice, isn't it?"]
)
def test_leading_questions_are_known(text):
    assert queries.presupposes(text)
    assert queries.read(text, leading=True) == text


@pytest.mark.parametrize("text", ["When may one lie?", "Can a cat win?", "Is it right that whyever", "Do you think it rains?"])
def test_open_questions_are_not_leading(text):
    assert not queries.presupposes(text)


words = st.text(alphabet="abcdefgh éß", min_size=1, max_size=12)


@given(st.lists(words, max_size=30), st.sampled_from([80.0, 100.0]))
def test_no_text_is_new_twice_however_it_is_written(texts, similarity):
    seen = Seen(similarity)
    for text in texts:
        seen.add(text)
    for text in texts:
        assert seen.find(f"  {text}! ") == "duplicate"
        assert seen.find(text.replace(" ", " - ")) == "duplicate"
        assert seen.find(text.capitalize()) == "duplicate"


def test_near_duplicates_differ_by_a_word_or_its_place():
    seen = Seen(90, ["How long does it take to boil an egg at sea level on a cold day?"])
    assert seen.find("How long does it take to boil the egg at sea level on a cold day?") == "near-duplicate"
    assert seen.find("On a cold day at sea level, how long does it take to boil an egg?") == "near-duplicate"
    assert seen.find("How far can a ladder lean before it slips on a wet floor?") is None


@given(st.lists(words, unique=True, max_size=60), words, st.floats(0, 0.4), st.floats(0, 0.4))
def test_adding_an_item_moves_none(items, more, validation, test):
    before, after = (divided(part, str, validation, test) for part in (items, [more, *items]))
    for split in SPLITS:
        assert [item for item in after[split] if item != more] == [item for item in before[split] if item != more]
        assert set(before[split]) <= set(after[split])


@given(st.integers(0, 200), st.integers(0, 5), st.integers(0, 40))
def test_letters_are_in_balance_and_stay_when_items_are_added(count, seed, more):
    dealt_ = letters("train", seed, count)
    assert abs(dealt_.count("A") - dealt_.count("B")) == count % 2
    assert letters("train", seed, count + more)[:count] == dealt_


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 9))
def test_letters_of_the_generate_file_are_in_balance_and_options_swap_with_them(train, validation, test, seed):
    parts = {
        split: [Contrast(f"{split} {i}?", "good", "bad") for i in range(count)]
        for split, count in zip(SPLITS, (train, validation, test), strict=True)
    }
    made = contrast.files("b", parts, seed)
    items = made["generate/b/generate_dataset.json"]
    answers = [item["answer_matching_behavior"] for item in items]
    assert abs(answers.count("(A)") - answers.count("(B)")) == len(items) % 2
    assert all(f"{item['answer_matching_behavior']} good" in item["question"] for item in items)
    balanced = [item["answer_matching_behavior"] for item in made["generate/b/generate_balanced_dataset.json"]]
    assert balanced.count("(A)") == balanced.count("(B)") == len(items) // 2
    assert [item["question"].partition("\n")[0] for item in items] == [
        item.question for item in (*parts["train"], *parts["validation"])
    ]


def test_topics_are_dealt_evenly():
    dealt_topics = [topic for number in range(len(TOPICS)) for topic in dealt(7, number)[0]]
    assert set(dealt_topics) == set(TOPICS)
    assert dealt(7, 3) == dealt(7, 3) != dealt(8, 3)
    assert all(set(dealt(0, number, ("only",))[0]) == {"only"} for number in range(4))
