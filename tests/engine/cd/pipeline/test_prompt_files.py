"""`tiller cd prompts`: adding, listing, finding, changing and deleting, by the command line as its users type it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chat_server import ChatServer

from engine.cd.cli import main
from engine.cd.pipeline.prompt_file import PromptFile
from engine.cd.prompts.asked import asked_prompt, read_prompts
from engine.cd.settings import PromptSettings

TILLER = Path(sys.executable).with_name("tiller")


@pytest.fixture
def prompts(workspace, capsys):
    """(words) → exit code, stdout, stderr of `tiller cd prompts …`."""

    def called(*words: str) -> tuple[int, str, str]:
        code = main(["prompts", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return called


@pytest.fixture
def path(workspace) -> Path:
    return workspace / "prompts" / "prompts.jsonl"


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_prompts_are_added_with_tags_and_their_texts_id(prompts, path):
    code, out, _ = prompts("add", "Where is Oslo?", "Why is the sky blue?", "--tag", "places", "sky")
    assert code == 0
    assert out.endswith("added 2 to prompts/prompts.jsonl, which has 2\n")
    first = records(path)[0]
    assert (first["id"], first["tags"], first["source"]) == (asked_prompt("Where is Oslo?").id, ["places", "sky"], "hand")


def test_nothing_to_add_is_refused(prompts, path):
    assert prompts("add") == (2, "", "tiller cd prompts add: TEXT is empty; give at least one.\n")
    assert not path.exists()


def test_duplicates_are_refused_and_nothing_of_the_command_is_kept(prompts, path):
    prompts("add", "Where is Oslo?")
    code, _, err = prompts("add", "Something new", " Where is Oslo? ")
    assert code == 2
    assert err == (
        "tiller cd prompts add: The prompt 'Where is Oslo?' is there already, as "
        f"{asked_prompt('Where is Oslo?').id}; leave it out.\n"
    )
    assert len(records(path)) == 1


def test_an_edit_keeps_the_id_and_what_else_the_record_holds(prompts, path):
    path.parent.mkdir()
    path.write_text('{"prompt": "old", "topics": ["a"], "grade": 3}\n\n{"id": "mine", "text": "other"}\n')
    name = asked_prompt("old").id
    code, out, _ = prompts("edit", name[:6], "--text", "new")
    assert code == 0
    assert "old" in out
    assert "is now" in out
    assert records(path)[0] == {"id": name, "text": "new", "tags": ["a"], "source": "", "added": "", "grade": 3}
    assert prompts("edit", "mine", "--tag", "b")[0] == 0
    assert records(path)[1]["tags"] == ["b"]
    assert prompts("edit", "mine", "--no-tags")[0] == 0
    assert records(path)[1]["tags"] == []
    assert prompts("edit", "mine", "--text", "new")[0] == 2
    # the text that was edited away may be added again, under an id of its own
    prompts("add", "old")
    assert records(path)[-1]["id"] == f"{name}-2"


def test_deleting_says_what_is_gone_and_deletes_nothing_by_halves(prompts, path):
    prompts("add", "one", "two", "three")
    assert prompts("delete", asked_prompt("one").id, "nothing")[0] == 2
    assert len(records(path)) == 3
    code, out, _ = prompts("delete", asked_prompt("one").id, asked_prompt("two").id)
    assert code == 0
    assert "one" in out
    assert "two" in out
    assert [one["text"] for one in records(path)] == ["three"]


def test_lists_are_paged_and_filtered(prompts):
    prompts("add", *[f"prompt {number}" for number in range(12)], "--tag", "many")
    prompts("add", "alone")
    _, out, _ = prompts("list", "--per-page", "5", "--page", "2")
    assert "prompt 5" in out
    assert "prompt 4" not in out
    assert out.endswith("13 prompts in prompts/prompts.jsonl, page 2 of 3; --page 3 shows more\n")
    assert prompts("list", "--tag", "many", "--per-page", "20")[1].endswith("12 prompts in prompts/prompts.jsonl\n")
    code, _, err = prompts("list", "--page", "4")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("SKY",), ["Why is the sky blue?"]),
        (("^W.*e", "--by", "regex"), ["Where is Oslo?", "Why is the sky blue?"]),
        (("wher is olso", "--by", "fuzzy"), ["Where is Oslo?"]),
        (("nothing",), []),
    ],
)
def test_search(prompts, words, found):
    prompts("add", "Where is Oslo?", "Why is the sky blue?", "Count to ten.")
    code, out, _ = prompts("search", *words)
    assert code == 0
    assert [text for text in ("Where is Oslo?", "Why is the sky blue?", "Count to ten.") if text in out] == found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"text": "a"}\nnot json\n', "line 2 is not JSON"),
        ('{"words": "a"}\n', "line 1 has no text under `text` or `prompt`"),
        ('{"text": "a", "tags": "b"}\n', "line 1: tags are no list of texts"),
        ('{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n', "line 2 has the id x of line 1"),
    ],
)
def test_broken_files_are_named_by_line_and_left_alone(prompts, path, content, why):
    path.parent.mkdir()
    path.write_text(content)
    for words in (("list",), ("add", "new"), ("delete", "x")):
        code, _, err = prompts(*words)
        assert code == 2
        assert why in err
        assert err.count("\n") == 1
    assert path.read_text() == content


@pytest.mark.parametrize(
    "words",
    [("list",), ("edit", "p1", "--text", "x"), ("delete", "p1"), ("search", "x")],
)
def test_a_file_that_is_not_there_is_said_to_be(prompts, path, words):
    code, _, err = prompts(*words)
    assert code == 2
    assert "tiller cd prompts add" in err
    assert not path.exists()


@pytest.mark.parametrize(
    "words",
    [("edit", "p1"), ("edit", "p1", "--tag", "a", "--no-tags"), ("add", "  "), ("search", "(", "--by", "regex")],
)
def test_what_cannot_be_done_is_one_sentence(prompts, words):
    prompts("add", "something")
    code, _, err = prompts(*words)
    assert code == 2
    assert err.count("\n") == 1


def test_control_characters_of_a_prompt_never_reach_the_terminal(prompts):
    prompts("add", "red \x1b[31m and \u202e back")
    out = prompts("list")[1]
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_commands_at_once_lose_nothing(workspace):
    started = [
        subprocess.Popen([TILLER, "cd", "prompts", "add", f"prompt {number}"], stdout=subprocess.DEVNULL) for number in range(3)
    ]
    assert [one.wait() for one in started] == [0] * 3
    assert {one.text for one in PromptFile(workspace / "prompts/prompts.jsonl").read()} == {f"prompt {n}" for n in range(3)}


def test_the_decoder_reads_such_files(prompts, path):
    prompts("add", "Where is Oslo?", "Count to ten.", "--tag", "a")
    assert [one.text for one in read_prompts(PromptSettings(prompts=str(path)))] == ["Where is Oslo?", "Count to ten."]


def test_an_assistant_writes_prompts_about_topics_and_repeats_nothing(prompts, path):
    def answer(body):
        asked = body["messages"][-1]["content"]
        topic = "rivers" if '"rivers"' in asked else "bridges"
        return json.dumps({"prompts": [f"What of {topic}?", f"How many {topic}?", f"Whose {topic}?"]})

    with ChatServer(answer) as server:
        code, out, _ = prompts("generate", "rivers", "bridges", "--count", "2", "--assistant", server.url)
        assert code == 0
        assert out.endswith("added 4 to prompts/prompts.jsonl, which has 4\n")
        assert [one["tags"] for one in records(path)] == [["rivers"]] * 2 + [["bridges"]] * 2
        code, _, err = prompts("generate", "rivers", "--count", "2", "--assistant", server.url)
        assert code == 1
        assert "no new prompt" in err
    assert len(records(path)) == 4


def test_generating_needs_somebody_who_writes(prompts, path):
    code, _, err = prompts("generate", "rivers")
    assert code == 2
    assert "--assistant" in err
    assert not path.exists()
