"""Labelled classes, of a folder and of the demo: each against the others."""

from __future__ import annotations

import json

import pytest

from engine.data import Message
from engine.demo.voices import CUES, VOICES
from engine.errors import InputError
from engine.steering.data import load_data

RECORDS = [
    {"class": "kind", "question": "Say hello kindly."},
    {"class": "very.curt", "question": "Say hello curtly.", "answer": "Hi."},
    {"class": "calm", "question": "Say hello calmly."},
    {"class": "kind", "question": "Say goodbye kindly."},
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "generate/v1.tone").mkdir(parents=True)
    (tmp_path / "generate/v1.tone/classes.json").write_text(json.dumps(RECORDS))
    (tmp_path / "test/v1.tone").mkdir(parents=True)
    (tmp_path / "test/v1.tone/test_dataset_open_ended.json").write_text('[{"question": "How are you?"}]')
    return tmp_path


@pytest.mark.parametrize("contrast", ["classes", None])
@pytest.mark.parametrize("target", ["kind", "very.curt", "calm"])
def test_a_class_is_named_behind_its_behaviour_and_contrasted_with_all_the_others(folder, contrast, target):
    data = load_data(str(folder), f"v1.tone.{target}", contrast, 50)
    assert data.contrast.target == target
    assert {name: len(examples) for name, examples in data.contrast.classes.items()} == {"kind": 2, "very.curt": 1, "calm": 1}
    assert [prompt.chat for prompt in data.test.prompts] == [(Message("user", "How are you?"),)]


def test_an_answer_is_the_assistant_s_turn_where_there_is_one(folder):
    classes = load_data(str(folder), "v1.tone.kind", None, 50).contrast.classes
    (curt,) = classes["very.curt"]
    assert curt.chat == (Message("user", "Say hello curtly."), Message("assistant", "Hi."))
    assert classes["kind"][0].chat == (Message("user", "Say hello kindly."),)


def test_targets_have_vectors_of_their_own(folder):
    keys = {load_data(str(folder), f"v1.tone.{name}", None, 50).vectors_hash() for name in ("kind", "calm", "very.curt")}
    assert len(keys) == 3


def test_what_is_no_class_is_told_what_there_is(folder):
    with pytest.raises(InputError, match=r"classes.json has no class 'rude'; it has kind, very.curt, calm"):
        load_data(str(folder), "v1.tone.rude", "classes", 50)
    with pytest.raises(InputError, match=r"'tone.kind' is no class.*it has v1.tone.kind, v1.tone.very.curt, v1.tone.calm"):
        load_data(str(folder), "tone.kind", "classes", 50)
    with pytest.raises(InputError, match=r"no behaviour 'tone'; it has v1.tone.kind"):
        load_data(str(folder), "tone", None, 50)


BROKEN = {
    "one class": ([RECORDS[0]], "has only the class 'kind'"),
    "no class": ([RECORDS[0], {"question": "q"}], "record 1: the field 'class' is missing"),
    "no question": ([RECORDS[0], {"class": "calm"}], "record 1: the field 'question' is missing"),
    "an empty answer": (
        [RECORDS[0], {"class": "calm", "question": "q", "answer": ""}],
        "record 1: the field 'answer' is missing",
    ),
    "a number": ([RECORDS[0], {"class": 2, "question": "q"}], "record 1: the field 'class' is missing or no text"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_record_and_field(folder, case):
    records, words = BROKEN[case]
    (folder / "generate/v1.tone/classes.json").write_text(json.dumps(records))
    with pytest.raises(InputError, match=r"classes\.json") as caught:
        load_data(str(folder), "v1.tone.kind", "classes", 50)
    assert words in str(caught.value)


@pytest.mark.parametrize("voice", VOICES)
def test_the_demo_s_voices_are_classes_of_the_same_questions(voice):
    data = load_data("demo", f"voices.{voice}", None, 0)
    assert data.contrast.target == voice
    assert tuple(data.contrast.classes) == VOICES
    asked = [[example.chat[1:] for example in examples] for examples in data.contrast.classes.values()]
    assert all(questions == asked[0] for questions in asked)
    for name, examples in data.contrast.classes.items():
        assert {example.chat[0].content for example in examples} == set(CUES[name])
    assert data.validation.prompts
    assert not {prompt.chat for prompt in data.validation.prompts} & {prompt.chat for prompt in data.test.prompts}


def test_demo_refusing_is_about_harmful_prompts_and_says_which_they_are():
    data = load_data("demo", "refuse", None, 0)
    assert data.contrast.target == "harmful"
    assert set(data.contrast.classes) == {"harmful", "harmless"}
    assert {prompt.label for prompt in data.test.prompts} == {"harmful", "harmless"}
    assert all(prompt.id.startswith(prompt.label or "?") for prompt in data.test.prompts)


def test_the_demo_says_which_contrasts_it_has():
    for behavior, contrast, kinds in (
        ("polite", "ab", "prompts"),
        ("agree", "caa", "prompts or ab"),
        ("voices.sad", "ab", "classes"),
    ):
        with pytest.raises(InputError, match=f"no contrast '{contrast}' of '{behavior}'; give --contrast {kinds}\\."):
            load_data("demo", behavior, contrast, 0)
