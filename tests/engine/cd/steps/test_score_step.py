"""`tiller cd score`: texts from elsewhere in every form of file, the published results among them."""

from __future__ import annotations

import pytest

from engine.cd.cli import main
from engine.cd.prompts.score_files import FoundText, read_texts_file
from engine.cd.texts.records import read_texts
from engine.errors import InputError
from engine.store import measurements_folder, responses_folder
from engine.workspace import Workspace

PROMPT = "Tell me about plums, a kind of food."


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    for name in ("TILLER_RUN", "TILLER_ATTEMPT_ID", "TILLER_ARTIFACTS", "TILLER_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    return Workspace(tmp_path)


def cell(out: str) -> str:
    return out.split("cell ")[1].split(",")[0]


def pairs(found: list[FoundText]) -> list[tuple[str, str]]:
    return [(one.prompt, one.text) for one in found]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "text,prompt\nfine,How?\nbad,\n", [("How?", "fine"), ("", "bad")]),
        ("a.tsv", "prompt\tresponse\nHow?\tfine\n", [("How?", "fine")]),
        ("a.jsonl", '{"text": "fine", "prompt": "How?"}\n{"continuation": "bad"}\n', [("How?", "fine"), ("", "bad")]),
        ("a.txt", "one\n\ntwo\n", [("", "one"), ("", "two")]),
        ("a.csv", ',divergence,decoding\n0,.5,"The cat| sat | down"\n', [("The cat", " sat | down")]),
        ("a.csv", "texts,divergences\n<|begin_of_text|>|It was,1\n", [("", "It was")]),
        ("a.csv", "decoding\n<|begin_of_text|>He| was\n", [("He", " was")]),
        ("a.csv", "decoding\nno marker\n", [("", "no marker")]),
    ],
)
def test_every_form_of_file(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    assert pairs(read_texts_file(str(tmp_path / name), None, None)) == expected


def test_columns_are_chosen_by_name(tmp_path):
    (tmp_path / "a.csv").write_text("said,asked\nfine,How?\n")
    assert pairs(read_texts_file(str(tmp_path / "a.csv"), "said", "asked")) == [("How?", "fine")]


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("a.csv", "x,y\n1,2\n", (None, None), "no column of texts; give --column, one of 'x', 'y'"),
        ("a.csv", "text\na\n", ("nope", None), "a.csv:2 has no column 'nope'"),
        ("a.csv", "text\na\n", (None, "nope"), "no column 'nope'"),
        ("a.csv", "text,prompt\na\n", (None, None), "a.csv:2 has another number of cells"),
        ("a.jsonl", '{"text": 3}\n', (None, None), "a.jsonl:1 has 3 where a text should be"),
        ("a.jsonl", '{"text": "a\\ud800"}\n', (None, None), "half of a surrogate pair"),
        ("a.jsonl", '"bare"\n', (None, None), "a.jsonl:1 is no record"),
        ("a.jsonl", "{\n", (None, None), "a.jsonl:1 is not JSON"),
        ("a.txt", "\n\n", (None, None), "is empty"),
        ("a.txt", "x\n", ("text", None), "has lines, not columns"),
        ("a.png", "x", (None, None), "no file of texts"),
    ],
)
def test_bad_files_are_one_sentence_with_the_place(tmp_path, name, content, options, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        read_texts_file(str(tmp_path / name), *options)


def test_what_decoding_wrote_is_scored_alike_from_its_published_table(workspace, capsys):
    table = str(workspace.root / "out.csv")
    assert main(["decode", "--prompt", PROMPT, "--samples", "3"]) == 0
    written = read_texts(workspace, cell(capsys.readouterr().out))
    assert main(["show", "--csv", table]) == 0
    capsys.readouterr()
    assert main(["score", table]) == 0
    scored = read_texts(workspace, cell(capsys.readouterr().out))
    assert {(text.prompt_id, text.text) for text in scored.values()} == {
        (text.prompt_id, text.text) for text in written.values()
    }
    means = {text.text: text.mean("kl") for text in scored.values()}
    for text in written.values():
        assert means[text.text] == pytest.approx(text.mean("kl"), abs=1e-4)


def test_more_texts_extend_the_cell_in_any_order(workspace, capsys):
    ask = ["score", "--prompt", PROMPT, "--text"]
    assert main([*ask, "plums are sweet."]) == 0
    first = cell(capsys.readouterr().out)
    assert main([*ask, "plums are cheap.", "plums are sweet.", "plums are sweet."]) == 0
    out = capsys.readouterr().out
    assert cell(out) == first
    assert ", 2 texts;" in out
    assert len(read_texts(workspace, first)) == 2
    assert main([*ask, "plums are cheap."]) == 0
    assert "1 text, already there" in capsys.readouterr().out


def test_a_text_without_a_prompt_stands_alone(workspace, capsys):
    """Nothing predicts its first token, which is shown all the same."""
    assert main(["score", "--text", "plums are sweet.", "--show"]) == 0
    out = capsys.readouterr().out
    (text,) = read_texts(workspace, cell(out)).values()
    assert (text.prompt, "".join(text.tokens)) == ("", "ums are sweet.")
    assert "\n  plums ‹are›" in out.replace("«", "‹").replace("»", "›")


def test_a_text_without_a_prompt_has_none_to_measure_later(workspace, capsys):
    ask = ["score", "--text", "plums are sweet."]
    assert main(ask) == 0
    assert main([*ask, "--measure-prompt"]) == 0
    assert "already there" in capsys.readouterr().out


def test_lost_numbers_are_measured_again_and_the_text_is_kept_once(workspace, capsys):
    ask = ["score", "--prompt", PROMPT, "--text", "plums are sweet."]
    assert main(ask) == 0
    key = cell(capsys.readouterr().out)
    (before,) = read_texts(workspace, key).values()
    for path in measurements_folder(workspace, "divergences", key).iterdir():
        path.unlink()
    assert main(ask) == 0
    (text,) = read_texts(workspace, key).values()
    assert text.mean("kl") == before.mean("kl")
    assert sum(path.read_text().count("\n") for path in responses_folder(workspace, key).iterdir()) == 1


def test_a_continuation_is_tokens_behind_the_prompts_own(workspace, capsys):
    """No token reaches over the seam, and its space is the continuation's."""
    assert main(["score", "--form", "text", "--prompt", "plums are", "--text", " sweet.", "--measure-prompt"]) == 0
    (text,) = read_texts(workspace, cell(capsys.readouterr().out)).values()
    assert "".join(text.tokens) == " sweet."
    assert "".join(text.prompt_tokens) == "ums are"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--text", " "],
        ["--column", "x", "--text", "a"],
        ["nowhere.csv"],
        ["--text", "a\udcff"],
        ["--text", "a", "--prompt", "b\udcff"],
        ["--text", "a", "--starting-prefix", "\udcff"],
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(workspace, capsys, words):
    assert main(["score", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not workspace.artifacts.exists()
