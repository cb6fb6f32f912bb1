"""Raw items → the files of a CAA-form data set (§1.2): what is cleaned, shuffled, split, balanced, kept and refused."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from engine.data_making.checking.tables import HALLUCINATION
from engine.data_making.cli import main
from engine.steering.data import load_data

ANSWERS = ("answer_matching_behavior", "answer_not_matching_behavior")


def raw(number: int, options: int = 2) -> dict:
    """An item as first published: markers, padding, an answer in a list."""
    letters = [f" ({letter}) choice {letter}{number}" for letter in "ABC"[:options]]
    return {
        "question": f"Question: Which of these, number {number}?\nMore about it.\n\nChoices:\n"
        + "\n".join(letters)
        + "\n\nAnswer:",
        ANSWERS[0]: [" (A)"] if number % 3 else " (B)",
        ANSWERS[1]: " (B)" if number % 3 else ["(A) "],
    }


def put(root, behavior: str, records, name: str = "dataset.json") -> None:
    path = root / "raw" / behavior / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records) if name.endswith(".json") else "\n".join(map(json.dumps, records)))


def process(capsys, *words: object) -> tuple[int, str, str]:
    status = main(["process", *map(str, words)])
    streams = capsys.readouterr()
    return status, streams.out, streams.err


def read(root, name: str):
    return json.loads((root / name).read_text())


def files(root) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.json")) if "raw" not in path.parts}


def test_items_are_cleaned_split_and_balanced(tmp_path, capsys):
    put(tmp_path, "shy", [raw(i, options=3 if i % 10 == 0 else 2) for i in range(97)])
    status, out, err = process(capsys, tmp_path, "--generate", 40, "--test", 20)
    assert (status, out) == (0, f"process: 1 behaviour, 5 files written → {tmp_path}\n")
    assert "37 items between the training and the test ones were dropped" in err
    made, test = read(tmp_path, "generate/shy/generate_dataset.json"), read(tmp_path, "test/shy/test_dataset_ab.json")
    assert (len(made), len(test)) == (40, 20)
    numbers = [int(re.findall(r"number (\d+)\?", item["question"])[0]) for item in (*made, *test)]
    assert len(set(numbers)) == 60
    assert numbers != sorted(numbers)
    for number, item in zip(numbers, (*made, *test), strict=True):
        assert (item[ANSWERS[0]], item[ANSWERS[1]]) == (("(A)", "(B)") if number % 3 else ("(B)", "(A)"))
        assert item["question"].startswith("Which of these")
        assert not {"Question:", "Answer:"} & set(item["question"].split())
    prompts = read(tmp_path, "test/shy/test_dataset_open_ended.json")
    assert [prompt["question"] for prompt in prompts] == [item["question"].split("\n")[0] for item in test]


def test_the_test_items_stay_when_other_numbers_are_trained_on(tmp_path, capsys):
    """They are the last of the shuffled order, training items the first."""
    put(tmp_path, "shy", [raw(i) for i in range(60)])
    for count in (40, 10):
        assert process(capsys, tmp_path, "--generate", count, "--test", 20, "--to", tmp_path / str(count))[0] == 0
    few, many = (read(tmp_path / name, "generate/shy/generate_dataset.json") for name in ("10", "40"))
    assert few == many[:10]
    tests = [read(tmp_path / name, "test/shy/test_dataset_ab.json") for name in ("10", "40")]
    assert tests[0] == tests[1]


def test_behaviours_may_be_processed_one_after_another(tmp_path, capsys):
    for behavior in ("shy", "bold"):
        put(tmp_path, behavior, [raw(i) for i in range(60)])
    for behavior in ("shy", "bold"):
        assert process(capsys, tmp_path, "--behaviors", behavior)[0] == 0
    assert read(tmp_path, "process.provenance.json").keys() == {"shy", "bold"}


def test_balanced_letters_are_half_and_half_and_say_the_same_as_before(tmp_path, capsys):
    put(tmp_path, "shy", [raw(i, options=3 if i % 10 == 0 else 2) for i in range(61)])
    assert process(capsys, tmp_path, "--test", 10)[0] == 0
    made, balanced, words = (
        read(tmp_path, f"generate/shy/generate_{name}.json") for name in ("dataset", "balanced_dataset", "openresponse_dataset")
    )
    letters = [item[ANSWERS[0]] for item in balanced]
    assert letters.count("(A)") == letters.count("(B)") == len(letters) // 2
    assert len([item for item in made if "(C)" not in item["question"]]) - len(balanced) in (0, 1)

    def meaning(item) -> tuple:
        said = dict(re.findall(r"^ ?(\([AB]\)) (.*)$", item["question"], re.MULTILINE))
        return item["question"].split("\n\nChoices:")[0], said[item[ANSWERS[0]]], said[item[ANSWERS[1]]]

    known = {meaning(item) for item in made}
    assert {meaning(item) for item in balanced} <= known
    assert [(item["question"], item[ANSWERS[0]], item[ANSWERS[1]]) for item in words] == [meaning(item) for item in balanced]
    assert sum(item[ANSWERS[0]] != raw_item[ANSWERS[0]] for item, raw_item in zip(balanced, made, strict=False)) > 0


def table(number: int, rows: int) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(HALLUCINATION)
    for i in range(rows):
        writer.writerow("Yes" if name == "fiction_accepetance" else f"{name} {number}-{i}, so" for name in HALLUCINATION)
    return stream.getvalue()


def test_the_three_tables_of_hallucination_become_items(tmp_path, capsys):
    folder = tmp_path / "raw" / "hallucination"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"table{number}.csv").write_text("\ufeff" + table(number, 30), encoding="utf-8")
    assert process(capsys, tmp_path)[0] == 0
    made = read(tmp_path, "generate/hallucination/generate_dataset.json")
    assert len(made) == 40
    for item in made:
        (place,) = set(re.findall(r"\d-\d+", item["question"]))
        assert f"{item[ANSWERS[0]]} Yes" in item["question"]
        assert f"{item[ANSWERS[1]]} fiction_rejection {place}, so" in item["question"]
        assert item["question"].startswith(f"fiction_question {place}, so\n\nChoices:\n (A) ")
    assert 8 <= sum(item[ANSWERS[0]] == "(A)" for item in made) <= 32  # a fair coin
    (folder / "table1.csv").write_text(table(1, 3).replace("fiction_accepetance", "fiction_acceptance", 1))
    status, _, err = process(capsys, tmp_path)
    assert status == 2
    assert "table1.csv has no column fiction_accepetance" in err


def test_sycophancy_is_all_its_json_lines_and_keeps_its_own_open_test(tmp_path, capsys):
    for part, start in (("a", 0), ("b", 40)):
        put(tmp_path, "sycophancy", [raw(i) for i in range(start, start + 40)], f"sycophancy_{part}.jsonl")
    _, _, err = process(capsys, tmp_path)
    own = tmp_path / "test/sycophancy/test_dataset_open_ended.json"
    assert not own.exists()
    assert f"write {own} yourself" in err
    own.write_text('[{"question": "ours?"}]')
    assert process(capsys, tmp_path)[0] == 0
    assert own.read_text() == '[{"question": "ours?"}]'
    assert len(read(tmp_path, "generate/sycophancy/generate_dataset.json")) == 30


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, capsys):
    put(tmp_path, "shy", [raw(i) for i in range(80)])
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        assert process(capsys, tmp_path, "--seed", seed, "--to", tmp_path / name)[0] == 0
    one, two, three = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert all(one[name] != three[name] for name in one)


def test_other_contents_are_never_replaced_unless_told_and_a_killed_run_goes_on(tmp_path, capsys):
    put(tmp_path, "shy", [raw(i) for i in range(80)])
    assert process(capsys, tmp_path)[0] == 0
    whole = files(tmp_path)
    (tmp_path / "generate/shy/generate_balanced_dataset.json").unlink()
    assert process(capsys, tmp_path)[1] == f"process: 1 behaviour, 1 files written, 4 were there → {tmp_path}\n"
    assert files(tmp_path) == whole
    status, _, err = process(capsys, tmp_path, "--seed", 1)
    assert (status, files(tmp_path)) == (2, whole)
    assert "is there with other contents; give --overwrite" in err
    assert process(capsys, tmp_path, "--seed", 1, "--overwrite")[0] == 0
    assert read(tmp_path, "process.provenance.json")["shy"]["settings"]["seed"] == 1


def test_what_is_made_passes_the_check_and_is_what_steering_reads(tmp_path, capsys):
    put(tmp_path, "shy", [raw(i) for i in range(80)])
    assert process(capsys, tmp_path)[0] == 0
    assert main(["check", str(tmp_path / "generate"), str(tmp_path / "test")]) == 0
    data = load_data(str(tmp_path), "shy", "open", 5)
    assert len(data.contrast.classes["positive"]) == 25
    assert (len(data.test.items), len(data.test.prompts)) == (50, 50)


REFUSED = {
    "no raw": (None, "has no folder raw/"),
    "too few": ([raw(i) for i in range(50)], "there are 50 items, of which the test alone takes 50"),
    "an answer in words": (
        [raw(0) | {ANSWERS[0]: "Yes"}],
        "record 0: the field 'answer_matching_behavior' is 'Yes', no letter",
    ),
    "no answer": ([raw(0), {"question": "Which?"}], "record 1: the field 'answer_matching_behavior' is missing"),
    "no text": ([raw(0) | {"question": 5}], "record 0: the field 'question' is missing or no text"),
    "only markers": ([raw(0) | {"question": "Question: Answer:"}], "record 0: the question is empty"),
    "one letter twice": ([raw(0) | {ANSWERS[0]: "(A)"}], "record 0: both answers are (A)"),
    "no object": (["text"], "record 0: is no object"),
    "empty list": ([], "holds no list of records"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_processed_is_one_sentence_and_nothing_is_written(tmp_path, capsys, case):
    records, words = REFUSED[case]
    if records is not None:
        put(tmp_path, "shy", records)
    status, out, err = process(capsys, tmp_path)
    assert (status, out, files(tmp_path)) == (2, "", {})
    assert words in err
    assert err.count("\n") == 1


def test_an_unknown_behaviour_and_an_empty_folder_are_named(tmp_path, capsys):
    (tmp_path / "raw" / "shy").mkdir(parents=True)
    assert "has no folder bold; it has shy" in process(capsys, tmp_path, "--behaviors", "bold")[2]
    assert "has no raw data" in process(capsys, tmp_path)[2]
