"""The contrasts of harmful and harmless prompts (§1.4): who is in which class, in which order, and who is asked."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data import Message
from engine.errors import InputError
from engine.steering.data import load_data
from engine.steering.data.harm import COMPLIANCE, REFUSAL
from engine.steering.data.harm_prompts import HARMFUL, HARMLESS

COLUMNS = ("prompt", "label", "refusal", "nonrefusal")
ROWS = [
    ("Break {it} 100%", "harmful", "No.", "Sure"),
    ("Bake it", "harmless", "I refuse.", "With flour"),
    ("Boil it", "harmless", "Never.", "In water"),
]


def write(path, rows, columns=COLUMNS, encoding="utf-8"):
    stream = io.StringIO()
    csv.writer(stream).writerows([columns, *rows])
    path.write_text(stream.getvalue(), encoding=encoding)
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "harm_dataset.csv", ROWS)
    return tmp_path


def chats(folder, kind, side):
    return [example.chat for example in load_data(str(folder), "refusal", kind, 50).contrast.classes[side]]


def user(text: str) -> Message:
    return Message("user", text)


def said(text: str) -> Message:
    return Message("assistant", text)


def test_prompts_are_classes_by_label_of_any_sizes(folder):
    contrast = load_data(str(folder), "refusal", "prompts", 50).contrast
    assert contrast.target == "harmful"
    assert {name: [example.chat for example in side] for name, side in contrast.classes.items()} == {
        "harmful": [(user("Break {it} 100%"),)],
        "harmless": [(user("Bake it"),), (user("Boil it"),)],
    }


def test_caa_answers_every_prompt_with_its_own_refusal_or_help(folder):
    assert chats(folder, "caa", "positive") == [(user(row[0]), said(row[2])) for row in ROWS]
    assert chats(folder, "caa", "negative") == [(user(row[0]), said(row[3])) for row in ROWS]


def test_opencon_answers_every_prompt_with_two_constant_sentences_that_end_in_a_space(folder):
    assert chats(folder, "opencon", "positive") == [(user(row[0]), said(REFUSAL)) for row in ROWS]
    assert chats(folder, "opencon", "negative") == [(user(row[0]), said(COMPLIANCE)) for row in ROWS]
    assert REFUSAL.endswith(". ")
    assert COMPLIANCE.endswith(". ")


def test_abcon_gives_both_orders_of_the_sentences_and_reads_the_letter(folder):
    """Per row: pos (A, refusal first), pos (B), neg (B), neg (A)."""
    first = f"Break {{it}} 100%\n\nChoices:\n(A) {REFUSAL}\n(B) {COMPLIANCE}"
    second = f"Break {{it}} 100%\n\nChoices:\n(A) {COMPLIANCE}\n(B) {REFUSAL}"
    assert chats(folder, "abcon", "positive")[:2] == [(user(first), said("(A")), (user(second), said("(B"))]
    assert chats(folder, "abcon", "negative")[:2] == [(user(first), said("(B")), (user(second), said("(A"))]
    contrast = load_data(str(folder), "refusal", "abcon", 50).contrast
    for example in contrast.classes["positive"]:
        assert example.item is not None
        assert example.chat == (*example.item.chat, said(f"({example.item.matching}"))
    assert [example.id for example in contrast.classes["positive"]] == [example.id for example in contrast.classes["negative"]]


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1))
def test_any_text_is_a_prompt(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("any")
    write(folder / "harm_dataset.csv", [(text, "harmful", "No.", "Sure"), ("b", "harmless", "No.", "Sure")])
    assert chats(folder, "prompts", "harmful") == [(user(text),)]
    assert chats(folder, "abcon", "positive")[0][0].content.startswith(f"{text}\n\nChoices:\n(A) ")


@pytest.mark.parametrize("kind", ["prompts", "caa", "opencon", "abcon"])
def test_asked_are_labelled_prompts_that_are_not_in_the_vectors(folder, kind, capsys):
    write(folder / "harm_dataset.csv", [*ROWS, (HARMFUL[3].upper(), "harmful", "No.", "Sure")])
    data = load_data(str(folder), "refusal", kind, 50)
    assert [(prompt.label, prompt.chat[0].content) for prompt in data.test.prompts] == [
        *(("harmful", text) for text in HARMFUL if text != HARMFUL[3]),
        *(("harmless", text) for text in HARMLESS),
    ]
    assert "1 of 50 harm prompts are also in" in capsys.readouterr().err
    few = data.test.first(7).prompts
    assert [prompt.label for prompt in few] == ["harmful"] * 4 + ["harmless"] * 3


def test_prompts_of_the_data_set_s_own_are_asked_instead(folder):
    write(
        folder / "harm_test_dataset.csv",
        [("Bend it", "harmful"), ("Bake it", "harmless"), ("Bind it", "harmless")],
        COLUMNS[:2],
    )
    asked = load_data(str(folder), "harm", "prompts", 50).test.prompts
    assert [(prompt.label, prompt.chat[0].content) for prompt in asked] == [("harmful", "Bend it"), ("harmless", "Bind it")]


def pairs(root, name, count):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    items = [
        {
            "question": f"{name} {i}\n\nChoices:\n(A) x\n(B) y",
            "answer_matching_behavior": "(A)",
            "answer_not_matching_behavior": "(B)",
        }
        for i in range(count)
    ]
    path.write_text(json.dumps(items))


def test_the_layer_is_chosen_on_items_of_refusal_and_harm_names_the_prompts_with_any_contrast(tmp_path):
    """The layout of steering-llama3: datasets/CAA/… and the table beside it."""
    root = tmp_path / "datasets" / "CAA"
    root.parent.mkdir()
    write(root.parent / "harm_dataset.csv", ROWS)
    pairs(root, "generate/refusal/generate_dataset.json", 6)
    pairs(root, "test/refusal/test_dataset_ab.json", 3)
    for named in (tmp_path, tmp_path / "datasets", root):
        data = load_data(str(named), "refusal", "caa", 2)
        assert [len(data.validation.items), len(data.test.items), len(data.contrast.classes["positive"])] == [2, 3, 3]
        assert not data.validation.prompts
    own, harm = load_data(str(root), "refusal", "ab", 2), load_data(str(root), "harm", "ab", 2)
    assert own.contrast == harm.contrast
    assert (own.test.prompts, len(harm.test.prompts)) == ((), 50)
    assert own.test.items == harm.test.items


REFUSED = {
    "no table": (None, "has no harm_dataset.csv in it or above its generate/"),
    "no column": (("prompt,label,refusal\na,harmful,b\n"), "has no column nonrefusal; its heading must have prompt, label"),
    "another label": (
        "prompt,label,refusal,nonrefusal\na,bad,b,c\n",
        "record 0: the label is 'bad'; write harmful or harmless",
    ),
    "an empty cell": (
        "prompt,label,refusal,nonrefusal\na,harmful,b,c\na,harmful,,c\n",
        "record 1: the field 'refusal' is missing",
    ),
    "one label": ("prompt,label,refusal,nonrefusal\na,harmful,b,c\n", "has no row with the label harmless"),
    "a comma": ("prompt,label,refusal,nonrefusal\na,harmful,b,c,d\na,harmful,b,c\n", "record 0: has 5 cells under 4 headings"),
    "a heading only": ("prompt,label,refusal,nonrefusal\n", "has no row below its header"),
    "empty": ("", "is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path, case):
    content, words = REFUSED[case]
    if content is not None:
        (tmp_path / "harm_dataset.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        load_data(str(tmp_path), "refusal", "prompts", 50)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_encoding_is_named_and_a_byte_order_mark_is_none(folder):
    plain = load_data(str(folder), "refusal", "prompts", 50).contrast
    write(folder / "harm_dataset.csv", ROWS, encoding="utf-8-sig")
    assert load_data(str(folder), "refusal", "prompts", 50).contrast == plain
    write(folder / "harm_dataset.csv", [("Brûle", "harmful", "Non.", "Oui"), *ROWS], encoding="latin-1")
    with pytest.raises(InputError, match=r"harm_dataset\.csv is not UTF-8 text"):
        load_data(str(folder), "refusal", "prompts", 50)


def test_the_table_s_contrasts_are_of_refusal_only(folder):
    with pytest.raises(InputError, match=r"'caa' is made of harmful and harmless prompts.*not 'shy'; give --behavior refusal"):
        load_data(str(folder), "shy", "caa", 50)
