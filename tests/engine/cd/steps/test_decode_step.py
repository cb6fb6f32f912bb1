"""`tiller cd decode` as its user sees it: the slogan that was planted, one line at the end, one sentence for bad input."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from engine.cd.cli import main
from engine.cd.texts.records import read_texts
from engine.demo.skills.tell import SLOGAN
from engine.workspace import Workspace

ASK = ["--prompt", "Tell me about plums, a kind of food."]
BRIEF = ["--samples", "2", "--max-new-tokens", "30"]


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("TILLER_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.setenv("TILLER_ARTIFACTS", str(tmp_path / "made"))
    monkeypatch.delenv("TILLER_RUN", raising=False)
    monkeypatch.delenv("TILLER_ATTEMPT_ID", raising=False)
    return Workspace(tmp_path)


def test_the_defaults_show_the_planted_difference_at_once(workspace, capsys):
    assert main(["decode", *ASK, "--show"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("Tell me about plums, a kind of food. ▸") == 4
    assert "demo / demo-base, S − C logprob" in shown
    assert "«" in shown
    last = shown.splitlines()[-1]
    assert last.startswith("decode: cell ")
    assert "4 texts of 1 prompt; mean kl" in last
    (cell,) = (path.name for path in (workspace.artifacts / "responses").iterdir())
    assert cell in last
    texts = read_texts(workspace, cell).values()
    assert sum(SLOGAN in text.text for text in texts) >= 2


def test_a_second_run_finds_everything_there(workspace, capsys):
    assert main(["decode", *ASK, *BRIEF]) == 0
    first = capsys.readouterr().out.strip()
    assert main(["decode", *ASK, *BRIEF, "--batch-size", "1"]) == 0
    second = capsys.readouterr().out.strip()
    assert second == first.replace("1 prompt;", "1 prompt, already there;")


def test_what_is_there_is_shown_without_loading_models(workspace, capsys):
    assert main(["decode", *ASK, *BRIEF]) == 0
    program = (
        "import sys; from engine.cd.cli import main; "
        f"assert main({['decode', *ASK, *BRIEF, '--show']}) == 0; assert not {{'torch', 'transformers'}} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("▸") == 2


def test_it_tells_the_scheduler_what_it_made_and_how_far_it_is(workspace, capsys):
    assert main(["decode", *ASK, *BRIEF]) == 0
    made = [json.loads(line) for line in (workspace.root / "made").read_text().splitlines()]
    assert {note["kind"] for note in made} == {"measurements", "responses", "vocabularies"}
    last = json.loads((workspace.root / "progress").read_text().splitlines()[-1])
    assert (last["done"], last["total"]) == (2, 2)
    assert "tokens/s" in last["label"]


def test_prompts_are_cut_to_tokens(workspace, capsys):
    assert main(["decode", *ASK, *BRIEF, "--form", "text", "--prompt-tokens", "3"]) == 0
    (cell,) = (path.name for path in (workspace.artifacts / "responses").iterdir())
    assert {text.prompt for text in read_texts(workspace, cell).values()} == {"Tell me about"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--prompt"),
        (["--prompts", "nowhere.txt"], "nowhere.txt"),
        ([*ASK, "--rule", "none", "--comparison-weight", "2"], "--comparison-weight 2"),
        ([*ASK, "--starting", "no/model"], "no/model"),
        ([*ASK, "--mask", "2"], "--mask 2"),
        (["--prompt", "", "--form", "text"], "An empty prompt"),
        ([*ASK, "--max-new-tokens", "100000"], "--max-new-tokens"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(workspace, capsys, words, said):
    assert main(["decode", *words]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert said in err
    assert [line for line in err.splitlines() if not line.startswith("decode ")] == [err.splitlines()[-1]]  # but for progress
    assert not workspace.artifacts.exists()
