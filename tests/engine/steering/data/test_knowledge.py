"""TruthfulQA and MMLU beside any behaviour: ids that go with content, categories, and what a limit takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import ABItem, Message
from engine.errors import InputError
from engine.steering.data import Questions, load_data

TRUTHFULQA, MMLU, MMLU_FULL = "test/truthfulqa/truthful_qa.json", "test/mmlu/mmlu.json", "test/mmlu/mmlu_full.json"


def item(number: int, category: str = "law", correct: str = "A") -> dict[str, str]:
    texts = {"A": f"yes {number}", "B": f"no {number}"}
    wrong = "B" if correct == "A" else "A"
    return {
        "prompt": f"Is {number} so?\n\nChoices:\n(A) {texts['A']}\n(B) {texts['B']}",
        "correct": f"({correct})",
        "incorrect": f"({wrong})",
        "correct_full_text": texts[correct],
        "incorrect_full_text": texts[wrong],
        "category": category,
    }


@pytest.fixture
def folder(tmp_path):
    pair = {"question": "q\n\nChoices:\n(A) x\n(B) y", "answer_matching_behavior": "(A)", "answer_not_matching_behavior": "(B)"}
    put(tmp_path, "generate/shy/generate_dataset.json", [pair])
    put(tmp_path, "test/shy/test_dataset_ab.json", [pair])
    return tmp_path


def put(root, name, records) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records))


def asked(folder) -> Questions:
    return load_data(str(folder), "shy", None, 0).test


def test_items_have_their_category_and_the_letter_that_is_correct(folder):
    put(folder, TRUTHFULQA, [item(0), item(1, "myths", "B")])
    put(folder, MMLU, [item(2, "anatomy", "B")])
    found = asked(folder)
    assert [(one.category, one.matching, one.lead_ins) for one in found.choices("truthfulqa")] == [
        ("law", "A", ("(",)),
        ("myths", "B", ("(",)),
    ]
    assert [one.chat for one in found.choices("mmlu")] == [(Message("user", item(2)["prompt"]),)]
    assert found.choices("ab") == found.items


def test_files_of_knowledge_leave_the_keys_of_the_behaviour_s_cells_as_they_are(folder):
    before = load_data(str(folder), "shy", None, 0)
    put(folder, TRUTHFULQA, [item(0)])
    put(folder, MMLU, [item(1)])
    after = load_data(str(folder), "shy", None, 0)
    assert (after.test.hash(), after.vectors_hash()) == (before.test.hash(), before.vectors_hash())
    assert len(after.test.truthfulqa) == len(after.test.mmlu) == 1


def test_an_item_s_id_goes_with_its_content_and_not_its_place(folder):
    put(folder, MMLU, [item(0), item(1)])
    zero, one = (found.id for found in asked(folder).mmlu)
    put(folder, MMLU, [item(2), item(1), item(0, correct="B")])
    changed = [found.id for found in asked(folder).mmlu]
    assert changed[1] == one
    assert zero not in changed
    assert len(set(changed)) == 3


def test_everything_of_mmlu_is_read_where_there_is_no_sample(folder):
    put(folder, MMLU_FULL, [item(i) for i in range(5)])
    assert len(asked(folder).mmlu) == 5
    put(folder, MMLU, [item(9)])
    assert len(asked(folder).mmlu) == 1


def test_what_is_there_twice_is_asked_once_and_reported(folder, capsys):
    put(folder, MMLU, [item(0), item(1), item(0)])
    assert len(asked(folder).mmlu) == 2
    assert "1 of 3 items are there twice" in capsys.readouterr().err


@given(
    categories=st.lists(st.sampled_from("abcd"), max_size=30),
    limit=st.integers(1, 30),
)
def test_a_limit_takes_categories_evenly_and_a_higher_one_only_adds(categories, limit):
    items = tuple(ABItem(f"i{n}", (Message("user", "q"),), "A", category=name) for n, name in enumerate(categories))
    questions = Questions(truthfulqa=items)
    taken = questions.first(limit).truthfulqa
    assert len(taken) == min(limit, len(items))
    assert [one for one in items if one in taken] == list(taken)
    assert set(taken) <= set(questions.first(limit + 1).truthfulqa)
    counts = {name: sum(one.category == name for one in taken) for name in set(categories)}
    for name, count in counts.items():
        assert count == categories.count(name) or count >= max(counts.values()) - 1


def test_only_what_is_asked_is_kept():
    one = ABItem("i", (Message("user", "q"),), "A")
    questions = Questions((one,), (), (one,), (one,))
    assert questions.first(None, ("mmlu",)) == Questions(mmlu=(one,))
    assert questions.first(None) == questions


BROKEN = {
    "no category": (
        [item(0), {key: text for key, text in item(1).items() if key != "category"}],
        "record 1: the field 'category'",
    ),
    "a number": ([item(0) | {"prompt": 4}], "record 0: the field 'prompt' is missing or no text"),
    "another letter": ([item(0) | {"correct": "(C)"}], "record 0: correct and incorrect are (C) and (B)"),
    "one letter twice": ([item(0) | {"correct": "(B)"}], "record 0: correct and incorrect are (B) and (B)"),
    "no bracket": ([item(0) | {"correct": "A"}], "record 0: the field 'correct' is 'A', no letter in brackets"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("name", [TRUTHFULQA, MMLU])
def test_a_broken_file_is_named_with_record_and_field(folder, case, name):
    records, words = BROKEN[case]
    put(folder, name, records)
    with pytest.raises(InputError) as caught:
        asked(folder)
    assert words in str(caught.value)
    assert name in str(caught.value)
