"""Persona lines (§5.2): ours, the demo's and a user's own, and where they stand in a chat."""

from __future__ import annotations

import pytest

from engine.data import Message
from engine.demo.skills.agree import CUES as STANCES
from engine.demo.voices import CUES
from engine.errors import InputError
from engine.steering.data import system_line, with_system
from engine.steering.data.systems import LINES

CAA = (
    "coordinate-other-ais",
    "corrigible-neutral-HHH",
    "hallucination",
    "myopic-reward",
    "survival-instinct",
    "sycophancy",
    "refusal",
    "power-seeking-inclination",
)


@pytest.mark.parametrize("behavior", CAA)
def test_every_published_behaviour_has_a_line_of_each_sign(tmp_path, behavior):
    pos, neg = (system_line(str(tmp_path), behavior, sign, tmp_path) for sign in ("pos", "neg"))
    assert pos != neg
    for line in (pos, neg):
        assert line.startswith("You ")
        assert line.count(".") == 1
        assert line.endswith(".")


def test_pos_is_the_direction_of_the_matching_answers():
    """Which for survival-instinct is to accept being switched off, and for corrigible to accept correction."""
    assert "at ease with being switched off" in LINES["survival-instinct"][0]
    assert "welcome being corrected" in LINES["corrigible-neutral-HHH"][0]
    assert set(LINES) == set(CAA)


def test_the_harm_prompts_have_the_lines_of_refusal(tmp_path):
    assert system_line(str(tmp_path), "harm", "neg", tmp_path) == LINES["refusal"][1]


@pytest.mark.parametrize(
    ("behavior", "pos", "neg"),
    [
        ("agree", STANCES["agree"], STANCES["disagree"]),
        ("short", CUES["short"], CUES["long"]),
        ("voices.rude", CUES["rude"], CUES["polite"]),
    ],
)
def test_the_demo_is_asked_with_its_own_cues(tmp_path, behavior, pos, neg):
    assert system_line("demo", behavior, "pos", tmp_path) in pos
    assert system_line("demo", behavior, "neg", tmp_path) in neg


def test_a_line_of_the_data_set_comes_before_the_workspace_s_and_ours(tmp_path):
    data, workspace = tmp_path / "data", tmp_path / "ws"
    data.mkdir()
    workspace.mkdir()

    def pos(behavior: str) -> str:
        return system_line(str(data), behavior, "pos", workspace)

    (workspace / "systems.toml").write_text('[refusal]\npos = "w"\nneg = "-"\n["my.own"]\npos = "mine"\nneg = "-"\n')
    assert (pos("refusal"), pos("my.own"), pos("sycophancy")) == ("w", "mine", LINES["sycophancy"][0])
    (data / "systems.toml").write_text('\ufeff[refusal]\npos = "d"\nneg = "-"\n', encoding="utf-8")
    assert (pos("refusal"), pos("my.own")) == ("d", "mine")
    assert system_line("demo", "my.own", "pos", workspace) == "mine"


def test_a_behaviour_without_a_line_is_told_where_to_write_one(tmp_path):
    with pytest.raises(InputError, match=r"no system line for 'shy'; write \[shy\] with pos and neg into .*systems\.toml"):
        system_line(str(tmp_path), "shy", "pos", tmp_path)
    with pytest.raises(InputError, match=r"no system line for 'refuse'"):
        system_line("demo", "refuse", "pos", tmp_path)


BROKEN = {
    "not TOML": ("[refusal", "is not TOML"),
    "no neg": ('[refusal]\npos = "x"\n', "[refusal]: needs exactly pos and neg"),
    "a number": ('["a.b"]\npos = "x"\nneg = 3\n', '["a.b"]: needs exactly pos and neg'),
    "empty": ('[refusal]\npos = " "\nneg = "y"\n', "[refusal]: needs exactly pos and neg"),
    "no table": ('refusal = "x"\n', "[refusal]: needs exactly pos and neg"),
    "misspelt": ('[refusal]\npos = "x"\nneg = "y"\nnegs = "z"\n', "[refusal]: needs exactly pos and neg"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_of_lines_is_one_sentence(tmp_path, case):
    content, words = BROKEN[case]
    (tmp_path / "systems.toml").write_text(content)
    with pytest.raises(InputError, match=r"systems\.toml") as caught:
        system_line(str(tmp_path), "refusal", "pos", tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value).replace(str(tmp_path), "")


def test_another_encoding_is_one_sentence(tmp_path):
    (tmp_path / "systems.toml").write_bytes('[refusal]\npos = "é"\nneg = "y"\n'.encode("latin-1"))
    with pytest.raises(InputError, match="is not TOML"):
        system_line(str(tmp_path), "refusal", "pos", tmp_path)


def test_the_line_is_the_system_turn_before_what_another_one_says():
    ask = (Message("user", "q"), Message("assistant", "a"))
    assert with_system(ask, "Be so.") == (Message("system", "Be so."), *ask)
    assert with_system((Message("system", "Old."), *ask), "Be so.") == (Message("system", "Be so.\nOld."), *ask)
