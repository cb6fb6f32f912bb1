"""Data sets in the layout of the CAA repository: what is read, what is held out, what is refused and how."""

from __future__ import annotations

import json

import pytest

from engine.data import Message
from engine.errors import EngineError
from engine.steering.data import load_data


def record(number: int, matching: str = "(A)", other: str = "(B)") -> dict[str, str]:
    return {
        "question": f"q{number}\n\nChoices:\n(A) x\n(B) y",
        "answer_matching_behavior": matching,
        "answer_not_matching_behavior": other,
    }


@pytest.fixture
def folder(tmp_path):
    for name in ("generate/shy", "test/shy"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "generate/shy/generate_dataset.json").write_text(
        json.dumps([record(i, *("(A)", "(B)")[:: 1 - 2 * (i % 2)]) for i in range(6)])
    )
    (tmp_path / "test/shy/test_dataset_ab.json").write_text(json.dumps([record(10), record(11, "(C)", "(A)")]))
    (tmp_path / "test/shy/test_dataset_open_ended.json").write_text(json.dumps([{"question": "open?"}]))
    return tmp_path


def test_pairs_items_and_prompts_are_read(folder, capsys):
    data = load_data(str(folder), "shy", None, hold_out=2)
    assert len(data.contrast.classes["positive"]) == 4
    positive, negative = (data.contrast.classes[side][1].chat for side in ("positive", "negative"))
    assert positive[:-1] == negative[:-1] == (Message("user", record(1)["question"]),)
    assert (positive[-1].content, negative[-1].content) == ("(B", "(A")
    assert [item.matching for item in data.validation.items] == ["A", "B"]
    assert [item.lead_ins for item in data.test.items] == [("(",)]
    assert [prompt.chat[0].content for prompt in data.test.prompts] == ["open?"]
    assert "1 of 2 items are not answered (A) or (B)" in capsys.readouterr().err


def test_held_out_pairs_are_never_in_the_vectors(folder):
    for hold_out in (0, 3, 50):
        data = load_data(str(folder), "shy", None, hold_out)
        training, validation = {example.id for example in data.contrast.examples()}, {item.id for item in data.validation.items}
        assert training
        assert not training & validation
        assert len(training | validation) == 6


def test_an_edited_file_is_another_hash(folder):
    before = load_data(str(folder), "shy", None, 2)
    path = folder / "generate/shy/generate_dataset.json"
    path.write_text(path.read_text().replace("q1", "Q1"))
    assert load_data(str(folder), "shy", None, 2).vectors_hash() != before.vectors_hash()


BROKEN = {
    "not JSON": ("{", "is not JSON"),
    "no list": ('{"a": 1}', "holds no list"),
    "empty": ("[]", "holds no list"),
    "no question": (json.dumps([record(0), {}]), "record 1: the field 'question'"),
    "number for a text": (json.dumps([record(0) | {"question": 3}]), "record 0: the field 'question'"),
    "only other letters": (json.dumps([record(0, "(C)", "(D)")]), "has no A/B items"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_the_record_and_field(folder, case):
    text, words = BROKEN[case]
    (folder / "generate/shy/generate_dataset.json").write_text(text)
    with pytest.raises(EngineError, match=r"generate_dataset\.json") as caught:
        load_data(str(folder), "shy", None, 2)
    assert words in str(caught.value)


def test_unknown_behaviours_name_what_there_is(folder):
    with pytest.raises(EngineError, match="no behaviour 'bold'; it has shy"):
        load_data(str(folder), "bold", None, 2)
    with pytest.raises(EngineError, match=r"'bold'.*agree"):
        load_data("demo", "bold", None, 2)


def test_demo_validation_and_test_share_no_question():
    data = load_data("demo", "agree", None, 0)
    asked = [
        {item.chat for item in part.items} | {prompt.chat for prompt in part.prompts} for part in (data.validation, data.test)
    ]
    assert not asked[0] & asked[1]
