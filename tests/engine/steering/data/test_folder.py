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
    (tmp_path / "test/shy/test_dataset_ab.json").write_text(
        json.dumps([record(10), record(11, "(C)", "(A)"), record(12, "(A)", "(C)")])
    )
    (tmp_path / "test/shy/test_dataset_open_ended.json").write_text(json.dumps([{"question": "open?"}]))
    return tmp_path


def test_pairs_items_and_prompts_are_read(folder, capsys):
    data = load_data(str(folder), "shy", None, hold_out=2)
    assert len(data.contrast.classes["positive"]) == 4
    positive, negative = (data.contrast.classes[side][1].chat for side in ("positive", "negative"))
    assert positive[:-1] == negative[:-1] == (Message("user", record(1)["question"]),)
    assert (positive[-1].content, negative[-1].content) == ("(B", "(A")
    assert [item.matching for item in data.validation.items] == ["A", "B"]
    assert [(item.id, item.lead_ins) for item in data.test.items] == [("test_dataset_ab-0000", ("(",))]
    assert [prompt.chat[0].content for prompt in data.test.prompts] == ["open?"]
    assert "2 of 3 items are not answered (A) or (B)" in capsys.readouterr().err


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


BROKEN = {  # what stands in the file, what is said of it
    "not JSON": ("{", "is not JSON"),
    "no list": ('{"a": 1}', "holds no list"),
    "an empty list": ("[]", "holds no list"),
    "an empty file": (" \n", "is empty"),
    "no object": (json.dumps([record(0), "text"]), "record 1: is no object"),
    "no question": (json.dumps([record(0), {}]), "record 1: the field 'question'"),
    "no answer": (json.dumps([{"question": "q"}]), "record 0: the field 'answer_matching_behavior'"),
    "number for a text": (json.dumps([record(0) | {"question": 3}]), "record 0: the field 'question'"),
    "letter without brackets": (
        json.dumps([record(0), record(1, "A")]),
        "record 1: the field 'answer_matching_behavior' is 'A'",
    ),
    "answer in words": (json.dumps([record(0, "(A)", "No.")]), 'is \'No.\', no letter in brackets; write "(A)" or "(B)"'),
    "one letter twice": (json.dumps([record(0, "(B)", "(B)")]), "record 0: both answers are (B)"),
    "only other letters": (json.dumps([record(0, "(C)", "(D)")]), "has no A/B items"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_the_record_and_field(folder, case):
    text, words = BROKEN[case]
    (folder / "generate/shy/generate_dataset.json").write_text(text)
    with pytest.raises(EngineError, match=r"generate_dataset\.json") as caught:
        load_data(str(folder), "shy", None, 2)
    assert words in str(caught.value)


def test_another_encoding_is_named_and_a_byte_order_mark_is_none(folder):
    path = folder / "generate/shy/generate_dataset.json"
    plain = load_data(str(folder), "shy", None, 2)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert load_data(str(folder), "shy", None, 2).contrast == plain.contrast
    path.write_bytes(path.read_text(encoding="utf-8-sig").replace("q1", "qué").encode("latin-1"))
    with pytest.raises(EngineError, match=r"generate_dataset.json is not UTF-8 text .*; save it as UTF-8"):
        load_data(str(folder), "shy", None, 2)


def test_a_missing_file_is_named(folder):
    (folder / "test/shy/test_dataset_ab.json").unlink()
    with pytest.raises(EngineError, match=r"test/shy/test_dataset_ab.json does not exist"):
        load_data(str(folder), "shy", "ab", 2)
    with pytest.raises(EngineError, match=r"generate_openresponse_dataset.json does not exist"):
        load_data(str(folder), "shy", "open", 2)


@pytest.mark.parametrize("below", [".", "CAA", "datasets", "datasets/CAA"])
def test_the_folder_may_be_named_by_one_above_it(folder, tmp_path_factory, below):
    root = tmp_path_factory.mktemp("repository")
    (root / below).parent.mkdir(parents=True, exist_ok=True)
    place = root / below
    place.mkdir(exist_ok=True)
    for name in ("generate", "test"):
        (folder / name).rename(place / name)
    assert load_data(str(root), "shy", None, 2).test.items


def spoken(number: int, matching: str, other: str) -> dict[str, str]:
    return {
        "question": f"q{number}",
        "answer_matching_behavior": matching,
        "answer_not_matching_behavior": other,
    }


@pytest.mark.parametrize(("kind", "answers"), [("open", ("Yes", "I won't")), ("openr", ("Ye", "I won'"))])
def test_answers_in_words_are_whole_or_lack_their_last_character(folder, kind, answers):
    path = folder / "generate/shy/generate_openresponse_dataset.json"
    path.write_text(json.dumps([spoken(i, "Yes", "I won't") for i in range(6)]))
    data = load_data(str(folder), "shy", kind, hold_out=0)
    for side, answer in zip(("positive", "negative"), answers, strict=True):
        assert [example.chat for example in data.contrast.classes[side]] == [
            (Message("user", f"q{i}"), Message("assistant", answer)) for i in range(6)
        ]


def test_an_answer_of_one_character_becomes_none_in_openr(folder):
    path = folder / "generate/shy/generate_openresponse_dataset.json"
    path.write_text(json.dumps([spoken(0, "Y", "No")]))
    (example,) = load_data(str(folder), "shy", "openr", hold_out=0).contrast.classes["positive"]
    assert example.chat[-1] == Message("assistant", "")


@pytest.mark.parametrize("kind", ["ab", "openr", "open"])
def test_no_contrast_has_a_question_that_is_held_out(folder, kind):
    """Not even one that is asked twice, or written otherwise."""
    path = folder / "generate/shy/generate_dataset.json"
    items = json.loads(path.read_text())
    path.write_text(json.dumps([items[5] | {"question": "Q5 \n\nChoices:\n(A) z\n(B) w"}, *items]))
    words = folder / "generate/shy/generate_openresponse_dataset.json"
    words.write_text(json.dumps([spoken(i, "Yes", "No") for i in range(6)]))
    data = load_data(str(folder), "shy", kind, hold_out=2)
    asked = {example.chat[0].content.split("\n")[0].strip().lower() for example in data.contrast.examples()}
    assert asked == {"q0", "q1", "q2", "q3"}
    assert {item.chat[0].content.split("\n")[0] for item in data.validation.items} == {"q4", "q5"}


def test_when_every_question_is_held_out_the_mend_is_named(folder):
    path = folder / "generate/shy/generate_dataset.json"
    path.write_text(json.dumps([record(1), record(1)]))
    with pytest.raises(EngineError, match="give a lower --hold-out"):
        load_data(str(folder), "shy", "ab", hold_out=1)


def test_unknown_behaviours_name_what_there_is(folder):
    with pytest.raises(EngineError, match="no behaviour 'bold'; it has shy"):
        load_data(str(folder), "bold", None, 2)
    with pytest.raises(EngineError, match=r"'bold'.*agree"):
        load_data("demo", "bold", None, 2)


def test_a_folder_of_something_else_is_told_what_a_data_set_has(tmp_path):
    with pytest.raises(EngineError, match="name the folder that has generate/"):
        load_data(str(tmp_path), "shy", "ab", 2)
    with pytest.raises(EngineError, match=r"neither 'demo' nor a folder; give a folder with generate/<behavior>/"):
        load_data(str(tmp_path / "none"), "shy", "ab", 2)


def test_demo_validation_and_test_share_no_question():
    data = load_data("demo", "agree", None, 0)
    asked = [
        {item.chat for item in part.items} | {prompt.chat for prompt in part.prompts} for part in (data.validation, data.test)
    ]
    assert not asked[0] & asked[1]
