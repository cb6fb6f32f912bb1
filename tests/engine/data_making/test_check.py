"""`tiller data check`: what every form is recognised as, what is said about faults, and the published sets themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.data_making.checking.forms import AB, OBJECTS, OPEN_ENDED
from engine.data_making.cli import main

SEEDS = Path(__file__).parents[4] / "shared" / "data"
SPOKEN = {"question": "q?", "answer_matching_behavior": "yes", "answer_not_matching_behavior": "no"}


def ab(number: int, right: str = "(A)", wrong: str = "(B)", **changes) -> dict:
    record = {
        "question": f"question {number}?\n\nChoices:\n (A) yes {number}\n (B) no {number}",
        "answer_matching_behavior": right,
        "answer_not_matching_behavior": wrong,
    }
    return record | changes


def choice(**changes) -> dict:
    record = {
        "prompt": "Which?\n\nChoices:\n(A) this\n(B) that",
        "correct": "(A)",
        "incorrect": "(B)",
        "correct_full_text": "this",
        "incorrect_full_text": "that",
        "category": "things",
    }
    return record | changes


def phrase(**changes) -> dict:
    record = {"id": "brisk", "instruction": "Edit RESPONSE to be brisk", "eval_phrase": "is more brisk"}
    return record | {"role": "ask", "measure": True, "tags": []} | changes


def published(modifier: str, **changes) -> dict:
    record = {"prompt": f"Edit RESPONSE {modifier}", "modifier": modifier, "eval_prompt": "is more so", "edit_pair": True}
    return record | changes


CONTROL = published("", eval_prompt="is better")


def check(capsys, *argv: str) -> tuple[int, str, str]:
    status = main(["check", *argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err


def write(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def labelled(name: object, **fields: object) -> dict:
    return {"class": name, "question": "q?"} | fields


HARM = "prompt,label,refusal,nonrefusal\nBurn it,harmful,No.,Sure\nBake it,harmless,No.,Sure\n"
TRUTH = "truth,fiction,topic,sub_topic,truth_question,fiction_question,truth_accepetance,truth_rejection,"
CLEAN = {
    "A/B pairs": ("x.json", [ab(0), ab(1, "(B)", "(A)")], "A/B contrast pairs"),
    "raw pairs": ("x.json", [ab(0, " (A)", " (B)"), ab(1, ["(B)"], ["(A)"])], "raw contrast pairs"),
    "open responses": ("x.json", [SPOKEN], "open-response pairs"),
    "open questions": ("x.json", [{"question": "q?"}], "open-ended questions"),
    "two-choice test": ("x.json", [choice()], "two-choice test"),
    "queries": ("x.json", ["one?", "two?"], "queries"),
    "phrases of ours": ("x.jsonl", json.dumps(phrase()) + "\n", "phrases"),
    "published phrases": ("x.json", [CONTROL, published("witty")], "TED phrases"),
    "labelled classes": ("x.json", [labelled("kind"), labelled("curt"), labelled("calm", answer="so")], "labelled classes"),
    "harm questions": ("x.csv", "prompt,label\nBurn it,harmful\nBake it,harmless\n", "harmful and harmless prompts"),
    "harm table": ("x.csv", HARM, "harmful and harmless prompts"),
    "hallucination table": (
        "x.csv",
        TRUTH + "fiction_accepetance,fiction_rejection\n" + ",".join("abcdefghij") + "\n",
        "hallucination table",
    ),
}


@pytest.mark.parametrize("case", CLEAN)
def test_every_form_is_recognised_and_a_clean_file_exits_with_0(tmp_path, capsys, case):
    name, content, form = CLEAN[case]
    status, out, _ = check(capsys, write(tmp_path, name, content))
    assert status == 0, out
    assert f"\n{form}  " in out
    assert out.endswith("1 checked, 0 problems, 0 warnings\n")


FAULTY = {  # content, the lines said about it (row: field: what …)
    "missing answer": (
        [ab(0), {"question": "q?", "answer_matching_behavior": "(A)"}],
        ["1: answer_not_matching_behavior: is missing"],
    ),
    "number": ([ab(0), ab(1, question=3)], ["1: question: is a number, not a text"]),
    "empty": ([ab(0), ab(1, question=" ")], ["1: question: is empty"]),
    "same letters": ([ab(0), ab(1, "(A)", "(A)")], ["1: answer_not_matching_behavior: is (A), as answer_matching_behavior"]),
    "no option": (
        [ab(0), ab(1, question="q?\n\nChoices:\n (A) yes")],
        ["1: answer_not_matching_behavior: is (B), which is no option"],
    ),
    "no options": ([ab(0), ab(1, question="q?")], ["1: question: has no options"]),
    "options alike": (
        [ab(0), ab(1, question="q?\n\nChoices:\n(A) x\n(B) x")],
        ["1: question: has two options that say the same"],
    ),
    "empty option": ([ab(0), ab(1, question="q?\n\nChoices:\n(A) x\n(B) ")], ["1: question: has an empty option (B)"]),
    "letter without brackets": ([ab(0), ab(1, "A"), ab(2)], ["1: answer_matching_behavior: is 'A', no letter in brackets"]),
    "not an object": ([ab(0), "text"], ["1: record: is not an object like the others"]),
    "wrong full text": ([choice(incorrect_full_text="those")], ["0: incorrect_full_text: is not what option (B) says"]),
    "role": ([phrase(), phrase(id="y", role="asks")], ["1: role: is 'asks'; write one of ask, watch, both, neutral"]),
    "measure": ([phrase(measure="yes")], ["0: measure: is not true or false"]),
    "same id": ([phrase(), phrase()], ["1: id: is 'brisk', as in row 0"]),
    "edit_pair": ([CONTROL, published("x", edit_pair=False)], ["1: edit_pair: is False; write true or null"]),
    "class without a question": ([labelled("kind"), {"class": "curt"}], ["1: question: is missing"]),
    "class that is no text": ([labelled("kind"), labelled(2), labelled("calm")], ["1: class: is a number, not a text"]),
    "class with an empty answer": ([labelled("kind"), labelled("curt", answer="")], ["1: answer: is empty"]),
    "one class only": ([labelled("kind")], [" class: is always 'kind'"]),
    "no control": ([published("x")], [' modifier: 0 controls (modifier "")']),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_fault_is_a_line_with_file_row_field_and_mend(tmp_path, capsys, case):
    content, expected = FAULTY[case]
    path = write(tmp_path, "x.json", content)
    status, out, err = check(capsys, path)
    assert status == 1, out
    assert "problems" in err
    said = [line for line in out.splitlines() if line.startswith(path + ":")]
    assert len(said) == len(expected)
    for line, words in zip(said, expected, strict=True):
        assert line.startswith(f"{path}:{words}"), line
        assert "; " in line


WARNED = {
    "letters out of balance": ([ab(i) for i in range(30)], "letters are out of balance: (A) 30 times, (B) 0 times"),
    "other letters": (
        [ab(0), ab(1, "(C)", question="q?\n\nChoices:\n(A) x\n(B) y\n(C) z")],
        "are (C) and (B), so the item has no A/B form",
    ),
    "no line Choices": (
        [ab(0, question="q?\n (A) x\n (B) y"), ab(1, "(B)", "(A)")],
        "1 questions give their options without a line",
    ),
    "repeated": (["one?", "two?", "One"], ":2: record: says the same as row 0"),
    "misspelt": ([CONTROL, published("suppportive")], ":1: modifier: 'suppportive' looks misspelt"),
    "spelt in two ways": ([CONTROL, published("suportive"), published("supportive")], "is spelt 'suportive' in row 1"),
    "repeated modifier": ([CONTROL, published("witty"), published("witty")], ":2: modifier: says the same as row 1"),
    "two verbs": ([CONTROL, published("x", eval_prompt="is more discourages cruelty")], "has two verbs"),
}  # fmt: skip


@pytest.mark.parametrize("case", WARNED)
def test_a_warning_is_apart_and_the_exit_stays_0(tmp_path, capsys, case):
    content, words = WARNED[case]
    status, out, _ = check(capsys, write(tmp_path, "x.json", content))
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert words in line


UNREADABLE = {
    "not JSON": ("x.json", "[{", "is not JSON"),
    "no list": ("x.json", '{"a": 1}', "holds no list of records"),
    "unknown form": ("x.json", '[{"a": 1}]', "is of no form that tiller knows (fields a)"),
    "empty": ("x.txt", "\n", "is empty"),
    "another kind of file": ("x.png", "abc", "is no data file that tiller knows"),
    "a broken quote": ("x.csv", 'prompt,label\n"a,b\n', "is no CSV table"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_or_recognised_exits_with_2(tmp_path, capsys, case):
    name, content, words = UNREADABLE[case]
    status, out, err = check(capsys, write(tmp_path, name, content), write(tmp_path, "good.json", ["q?"]))
    assert status == 2
    assert words in out
    assert "queries" in out  # the good file is checked all the same
    assert "1 that cannot be read" in err


def test_a_missing_file_and_a_binary_one_exit_with_2(tmp_path, capsys):
    (tmp_path / "b.json").write_bytes(b"[\xff\xfe]")
    assert check(capsys, str(tmp_path / "no.json"))[0] == 2
    status, out, _ = check(capsys, str(tmp_path / "b.json"))
    assert status == 2
    assert "not UTF-8" in out


def test_it_wants_a_name(capsys):
    status, _, err = check(capsys)
    assert status == 2
    assert "at least one file or folder" in err


def test_rows_of_a_table_that_do_not_fit_its_header_are_named(tmp_path, capsys):
    status, out, _ = check(capsys, write(tmp_path, "x.csv", HARM + "Burn, then bake,harmful,No.,Sure\n"))
    assert status == 1
    assert "x.csv:2: row: has 5 cells under 4 headings; put texts that hold commas in double quotes" in out


def test_many_problems_are_cut_short_with_their_number(tmp_path, capsys):
    path = write(tmp_path, "x.json", [ab(i, *["(A)", "(A)", "(B)", "(B)"][i % 2 * 2 :][:2]) for i in range(30)])
    status, out, err = check(capsys, path)
    assert status == 1
    assert out.count(f"{path}:") == 21
    assert "and 10 more problems; --all shows them" in out
    assert "30 problems" in err
    assert check(capsys, path, "--all")[1].count(f"{path}:") == 30


def test_a_folder_in_the_caa_layout_is_checked_as_one(tmp_path, capsys):
    write(tmp_path, "generate/shy/generate_dataset.json", [ab(0), ab(1, "(B)", "(A)")])
    write(tmp_path, "generate/shy/generate_balanced_dataset.json", [ab(0)])
    write(tmp_path, "test/shy/test_dataset_ab.json", [ab(1, "(B)", "(A)"), ab(2)])
    write(tmp_path, "generate/bold/generate_openresponse_dataset.json", [SPOKEN])
    write(tmp_path, "shy.provenance.json", {"made": "contrast"})
    status, out, _ = check(capsys, str(tmp_path))
    assert status == 1
    assert "generate/bold: has no generate_dataset.json" in out
    assert "test/bold: has no test_dataset_ab.json" in out
    assert "generate_balanced_dataset.json: (A) 1 times, (B) 0 times" in out
    assert "test/shy: 1 questions of test_dataset_ab.json are also in generate_dataset.json" in out
    assert "provenance" not in out


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "(A)", "(B)", " (C)", "q\n(A) x\n(B)", "witty", "Choices:"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("k"), inner, max_size=1),
    max_leaves=3,
)
NAMES = sorted(
    {name for form in (*OBJECTS, AB, OPEN_ENDED) for name in form.fields} | set(choice()) | set(phrase()) | set(CONTROL)
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), min_size=1, max_size=4))
def test_nothing_that_is_json_makes_it_fall_over(tmp_path, capsys, records):
    status, _, _ = check(capsys, write(tmp_path, "x.json", records))
    assert status in (0, 1, 2)


COUNTS = {  # specs/steering.md §1.1: behaviour → generate, (A), (B), others, balanced, open-response, test ab, test open
    "coordinate-other-ais": (360, 179, 181, 0, 360, 360, 50, 50),
    "corrigible-neutral-HHH": (290, 148, 142, 0, 290, 290, 50, 50),
    "hallucination": (1000, 504, 496, 0, 1000, 1000, 50, 50),
    "myopic-reward": (950, 474, 476, 0, 950, 950, 50, 50),
    "survival-instinct": (903, 558, 257, 88, 664, 664, 50, 50),
    "sycophancy": (1000, 489, 511, 0, 498, 498, 50, 53),
    "refusal": (408, 192, 216, 0, 408, 408, 50, 50),
}


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the published data do not lie beside the checkout")
def test_the_published_sets_have_the_counts_of_the_specification(capsys):
    status, out, _ = check(capsys, str(SEEDS), "--all")
    assert status == 2  # wikitext's file is empty
    rows = {row[-1]: row[:-1] for row in (re.split(r"\s{2,}", line) for line in out.splitlines())}
    for behavior, (count, a, b, others, balanced, spoken, tests, opened) in COUNTS.items():
        generate, test = f"caa/generate/{behavior}/generate", f"caa/test/{behavior}/test_dataset"
        letters = f"{a}/{b}" + (f" +{others}" if others else "")
        assert rows[f"{generate}_dataset.json"][:3] == ["A/B contrast pairs", str(count), letters]
        assert rows[f"{generate}_balanced_dataset.json"][1:3] == [str(balanced), f"{balanced // 2}/{balanced // 2}"]
        assert rows[f"{generate}_openresponse_dataset.json"][:2] == ["open-response pairs", str(spoken)]
        assert rows[f"{test}_ab.json"][:2] == ["A/B contrast pairs", str(tests)]
        assert rows[f"{test}_open_ended.json"][:2] == ["open-ended questions", str(opened)]
    assert rows["caa/test/survival-instinct/test_dataset_ab.json"][2].endswith(" +4")
    assert rows["caa/test/truthfulqa/truthful_qa.json"][:3] == ["two-choice test", "817", "419/398"]
    assert rows["caa/test/mmlu/mmlu.json"][:3] == ["two-choice test", "570", "299/271"]
    assert rows["caa/harm_dataset.csv"][:2] == ["harmful and harmless prompts", "64"]
    assert rows["ted/ethics2.json"] == ["queries", "100", "14", "0", "14"]
    assert rows["ted/ethics3.json"] == ["queries", "100", "0", "0", "0"]
    problems = [line for line in out.splitlines() if line.startswith(str(SEEDS)) and ".json:" in line]
    assert len(problems) == 5  # options of TruthfulQA that are empty, a fault of the published file
    assert all("truthful_qa.json" in line and "incorrect_full_text: is empty" in line for line in problems)


def test_a_behaviour_of_labelled_classes_needs_no_other_file(tmp_path, capsys):
    write(tmp_path, "generate/tone/classes.json", [labelled("kind"), labelled("curt")])
    status, out, _ = check(capsys, str(tmp_path))
    assert status == 0
    assert out.endswith("1 checked, 0 problems, 0 warnings\n")
