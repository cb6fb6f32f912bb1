"""Raw replies on disk: found again by judge, rubric, texts and order, and by nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.judges.replies import StoredReply, append_reply, replies_folder, reply_key, stored_replies
from engine.judges.verdict import Subject
from engine.store import Segment
from engine.workspace import Workspace

SUBJECTS = [
    Subject("Is it open?", ("Yes.",)),
    Subject("Is it open?", ("No.",)),
    Subject("Is it shut?", ("Yes.",)),
    Subject("Is it open?", ("Yes.", "No."), "ab"),
    Subject("Is it open?", ("Yes.", "No."), "ba"),
    Subject("Is it open?", ("No.", "Yes."), "ab"),
]


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def keep(workspace: Workspace, judge: str, writer: str, replies: dict[Subject, str], rubric: str = "r1"):
    with Segment(replies_folder(workspace, judge), writer) as segment:
        for subject, text in replies.items():
            append_reply(segment, reply_key(rubric, subject), StoredReply(text, "stop", 3, 1))
    assert segment.path is not None
    return segment.path


def found(workspace: Workspace, judge: str, subjects, rubric: str = "r1") -> dict[Subject, str]:
    keys = {reply_key(rubric, subject): subject for subject in subjects}
    return {keys[key]: reply.text for key, reply in stored_replies(workspace, judge, keys)}


def test_each_question_finds_its_own_reply(workspace):
    said = {subject: f"reply {number}" for number, subject in enumerate(SUBJECTS)}
    keep(workspace, "judge", "one", said)
    assert found(workspace, "judge", SUBJECTS) == said
    assert found(workspace, "judge", SUBJECTS[2:4]) == {subject: said[subject] for subject in SUBJECTS[2:4]}


def test_another_judge_or_rubric_has_replied_nothing(workspace):
    keep(workspace, "judge", "one", {SUBJECTS[0]: "yes"})
    assert found(workspace, "other judge", SUBJECTS) == {}
    assert found(workspace, "judge", SUBJECTS, rubric="r2") == {}


def test_a_torn_last_line_is_dropped_and_the_rest_is_read(workspace, capsys):
    path = keep(workspace, "judge", "one", dict.fromkeys(SUBJECTS, "yes"))
    path.write_bytes(path.read_bytes()[:-5])
    assert set(found(workspace, "judge", SUBJECTS)) == set(SUBJECTS[:-1])
    assert "torn" in capsys.readouterr().err


def test_writers_with_one_name_and_copies_from_another_machine_are_read_together(workspace):
    keep(workspace, "judge", "one", {SUBJECTS[0]: "first"})
    keep(workspace, "judge", "one", {SUBJECTS[1]: "second"})
    keep(workspace, "judge", "elsewhere", {SUBJECTS[0]: "repeated", SUBJECTS[2]: "third"})
    said = found(workspace, "judge", SUBJECTS)
    assert set(said) == set(SUBJECTS[:3])
    assert said[SUBJECTS[0]] in ("first", "repeated")


def test_a_record_that_is_no_reply_is_named(workspace):
    path = keep(workspace, "judge", "one", {SUBJECTS[0]: "yes"})
    path.write_text(json.dumps({"rubric": "r1"}) + "\n")
    with pytest.raises(EngineError, match=path.name):
        found(workspace, "judge", SUBJECTS)


def test_a_record_holds_hashes_instead_of_texts(workspace):
    path = keep(workspace, "judge", "one", {SUBJECTS[0]: "my reply"})
    [record] = [json.loads(line) for line in path.read_text().splitlines()]
    assert record["text"] == "my reply"
    assert "Is it open?" not in path.read_text()


subjects = st.builds(
    Subject,
    st.text(max_size=5),
    st.lists(st.text(max_size=5), min_size=1, max_size=2).map(tuple),
    st.sampled_from([None, "ab", "ba"]),
)


@given(subjects, subjects)
def test_two_questions_have_one_key_only_if_they_are_equal(one, other):
    assert (reply_key("r1", one) == reply_key("r1", other)) == (one == other)


@given(st.lists(subjects, unique=True, max_size=8), st.text(max_size=20))
def test_any_reply_comes_back_as_it_was(tmp_path_factory, chosen, text):
    workspace = Workspace(tmp_path_factory.mktemp("ws"))
    if chosen:
        keep(workspace, "judge", "one", dict.fromkeys(chosen, text))
    assert found(workspace, "judge", chosen) == dict.fromkeys(chosen, text)
