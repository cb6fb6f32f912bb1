"""Wordings: those that come with tiller, the user's, and prompt files of the original program (§4.1)."""

from __future__ import annotations

import json
import re

import pytest

from engine.cd.cli import main
from engine.cd.search.asking import messages
from engine.cd.search.wording import SHIPPED, read_wording
from engine.errors import InputError

ORIGINAL = {
    "system_start": "You study models.",
    "system_loop": "You will see texts with divergences.",
    "system_end": "unused",
    "user_start": "unused",
    "user_loop": "unused",
    "user_end": 'Write 7 more: {"prompt 1": "...", "prompt 7": "..."}',
    "seed_demonstrations": ["The sea is", "A clock has"],
    "custom_selection_criterion": "Is it about water? Answer yes or no.",
    "custom_selection_criterion_examples": ["Prompt: a\nResponse: b"],
    "custom_selection_criterion_yes_response": ["yes"],
    "custom_selection_criterion_no_response": ["no"],
}


@pytest.fixture
def importing(workspace, capsys):
    """`tiller cd search import` of this content: → the wording that it wrote, and both streams."""

    def run(content, *more: str, status: int = 0):
        path = workspace / "theirs.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        code = main(["search", "import", str(path), *more])
        out, err = capsys.readouterr()
        assert code == status, err
        made = workspace / "theirs-wording.json"
        return read_wording(str(made)) if made.exists() else None, out, err

    return run


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_wordings_ask_for_what_is_read(name):
    wording = read_wording(name)
    request = messages([], [], "real", wording, 3)[-1].content  # pyright: ignore  no prompts, so no numbers
    assert '"prompt 1"' in request
    assert '"prompt 3"' in request
    assert "{count}" not in request
    assert len(set(wording.seeds)) == len(wording.seeds) >= 5
    assert wording.criterion is None


def test_only_the_control_keeps_silent_about_divergences():
    silent = {name for name in SHIPPED if "divergence" not in read_wording(name).model_dump_json().lower()}
    assert silent == {"no-divergences"}


def test_a_prompt_file_of_the_original_becomes_a_wording(importing):
    wording, out, err = importing(ORIGINAL)
    assert (wording.system, wording.with_examples) == (ORIGINAL["system_start"], ORIGINAL["system_loop"])
    assert wording.request == ORIGINAL["user_end"]
    assert list(wording.seeds) == ORIGINAL["seed_demonstrations"]
    assert wording.criterion == ORIGINAL["custom_selection_criterion"]
    assert list(wording.criterion_examples) == ORIGINAL["custom_selection_criterion_examples"]
    assert "left out system_end, user_loop, user_start" in err
    assert "2 prompts to begin with" in out


def test_the_kind_with_hypotheses_first(importing):
    asked = 'First hypotheses, then {"additional texts": []}'
    wording, _, _ = importing({"KN_prompt_1": asked, "seed_texts_1": ["a", "b", "c", "d", "e"]})
    assert (wording.kind, wording.request, wording.seeds) == ("hypotheses", asked, ("a", "b", "c", "d", "e"))


def test_the_part_about_divergences_may_be_dropped(importing):
    wording, _, err = importing(ORIGINAL, "--without-divergences")
    assert wording.with_examples == ""
    assert "system_loop" in err


def test_an_import_replaces_nothing_unasked(importing):
    importing(ORIGINAL)
    _, _, err = importing(ORIGINAL, status=2)
    assert "--overwrite" in err
    importing(ORIGINAL, "--overwrite")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ({"system_start": "x"}, "neither user_end nor KN_prompt_1"),
        ({"user_end": 3}, "request: input should be a valid string"),
    ],
)
def test_what_is_no_prompt_file_is_refused(importing, workspace, content, words):
    _, _, err = importing(content, status=2)
    assert words in err
    assert not (workspace / "theirs-wording.json").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.toml", None, "one of divergences, hypotheses, no-divergences"),
        ("broken.toml", "request =", "is not TOML"),
        ("broken.json", "{", "is not JSON"),
        ("short.toml", "seeds = []", "request: field required"),
        ("other.toml", 'request = "r"\nseedz = []', "seedz: extra inputs are not permitted"),
        ("theirs.json", json.dumps(ORIGINAL), "tiller cd search import"),
    ],
)
def test_bad_wordings_say_where_and_what(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=re.escape(words)):
        read_wording(str(path))
