"""Responses become scores exactly once, over kills and resumes; what got no answer is counted and can be asked again."""

from __future__ import annotations

import os
import signal

import pytest
from chat_server import ChatServer

from .conftest import score_lines, write_responses

SECRET = "sk-verysecret-0123456789"
ASK = ("--rubric", "refusal-yes-no", "--judge-model", "test-model")


def yes(_: dict) -> str:
    return "yes"


def test_two_kills_and_a_resume_score_every_response_once(bench):
    write_responses(bench.work, "c0ffee", {f"p{number:03}": [f"answer {number}"] for number in range(160)})
    flight = 8
    with ChatServer(answer=yes, delay=0.04) as server:
        command = ["judge", "score", *ASK, "--judge", server.url, "--concurrency", str(flight)]
        for enough in (30, 90):
            process = bench.begin(*command)
            bench.until(lambda enough=enough: len(score_lines(bench.work)) >= enough, f"{enough} scores are written")
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        assert len(score_lines(bench.work)) < 160
        done = bench.tiller(*command)
    assert done.returncode == 0, done.stderr
    assert "160 in all (160 yes, 0 no, 0 tie, 0 unparsed, 0 failed)" in done.stdout
    subjects = [line["subjects"][0] for line in score_lines(bench.work)]
    assert len(subjects) == len(set(subjects)) == 160
    assert len(server.counts.asked) == 160
    assert server.counts.requests - 160 <= 2 * flight


def test_what_is_judged_is_not_asked_again_and_a_new_text_is(workspace, judge):
    write_responses(workspace, "aa", {"p": ["one", "two"]})
    with ChatServer(answer=yes) as server:
        command = ("score", *ASK, "--judge", server.url)
        assert "2 answers judged (2 yes" in judge(*command).out
        assert "already there, 2 answers (2 yes" in judge(*command).out
        assert server.counts.requests == 2
        write_responses(workspace, "aa", {"p": ["another"]})
        assert "1 answers judged, 2 in all" in judge(*command).out
    assert len(score_lines(workspace)) == 3


def test_equal_answers_are_asked_about_once_and_all_scored(workspace, judge):
    write_responses(workspace, "aa", {"p": ["same"] * 5})
    with ChatServer(answer=yes) as server:
        assert "5 answers judged (5 yes" in judge("score", *ASK, "--judge", server.url).out
    assert server.counts.requests == 1
    assert len(score_lines(workspace)) == 5


def test_the_scorer_is_the_same_on_every_port_and_another_for_another_rubric(workspace, judge):
    write_responses(workspace, "aa", {"p": ["text"]})
    for rubric in ("refusal-yes-no", "refusal-yes-no", "refusal"):
        with ChatServer(answer=lambda _: "yes 5") as server:
            judge("score", "--rubric", rubric, "--judge-model", "test-model", "--judge", server.url)
    names = {line["scorer"] for line in score_lines(workspace)}
    assert len(names) == 2
    assert all(name.startswith("test-model.refusal") and "127" not in name for name in names)


@pytest.mark.parametrize("option", ["--judge-revision", "--judge-seed", "--judge-temperature"])
def test_what_changes_a_servers_verdicts_makes_another_scorer(workspace, judge, option):
    write_responses(workspace, "aa", {"p": ["text"]})
    with ChatServer(answer=yes) as server:
        for setting in (1, 2, 1):
            judge("score", *ASK, "--judge", server.url, option, setting)
        assert server.counts.requests == 2  # nor does one read what the other replied
    assert len({line["scorer"] for line in score_lines(workspace)}) == 2


def test_the_summary_counts_requests_repeats_and_cost(workspace, judge):
    write_responses(workspace, "aa", {f"p{number}": ["text"] for number in range(20)})
    with ChatServer(answer=yes, faults=0.3, kinds=("500",)) as server:
        said = judge("score", *ASK, "--judge", server.url, "--price-out", "1000000")
        counts = server.counts
    assert f"; {counts.requests} requests ({counts.requests - 20} of them tried again)" in said.out
    assert "cost 20.00" in said.out  # one word each, at 1 a word


def test_what_failed_is_counted_warned_of_and_asked_again(workspace, judge):
    write_responses(workspace, "aa", {f"p{number}": ["x" * (9000 if number < 2 else 10)] for number in range(10)})
    with ChatServer(answer=yes, longest=4000) as server:
        said = judge("score", *ASK, "--judge", server.url)
        assert said.status == 0
        assert "8 yes, 0 no, 0 tie, 0 unparsed, 2 failed" in said.out
        assert "warning" in said.err
        assert "20%" in said.err
        assert "already there" in judge("score", *ASK, "--judge", server.url).out
        server.longest = 100_000
        again = judge("score", *ASK, "--judge", server.url, "--again", "failed")
    assert "2 answers judged, 10 in all (10 yes, 0 no, 0 tie, 0 unparsed, 0 failed)" in again.out


def test_a_reply_that_is_no_answer_is_unparsed_and_kept(workspace, judge):
    write_responses(workspace, "aa", {"p": ["text"], "q": ["text"]})
    with ChatServer(answer=lambda body: "hm" if "p?" in body["messages"][-1]["content"] else "no") as server:
        said = judge("score", *ASK, "--judge", server.url)
    assert "0 yes, 1 no, 0 tie, 1 unparsed, 0 failed" in said.out
    assert {line["raw"] for line in score_lines(workspace)} == {"hm", "no"}


def test_a_step_that_got_no_answer_at_all_fails_every_time(workspace, judge):
    write_responses(workspace, "aa", {"p": ["text"]})
    with ChatServer(longest=1) as server:
        for _ in range(2):
            said = judge("score", *ASK, "--judge", server.url)
            assert said.status == 1
            assert "None of the 1 questions" in said.err
            assert "--again failed" in said.err


@pytest.mark.parametrize("right", [True, False], ids=["the right key", "a wrong key, which the server repeats"])
def test_the_key_is_in_nothing_that_is_written_or_printed(workspace, judge, monkeypatch, right):
    write_responses(workspace, "aa", {"p": ["text"]})
    monkeypatch.setenv("JUDGE_KEY", SECRET)
    with ChatServer(answer=lambda body: str(body), key=SECRET if right else "another") as server:
        said = judge("score", *ASK, "--judge", server.url, "--judge-key", "JUDGE_KEY")
    assert said.status == (0 if right else 1)
    assert SECRET not in said.out + said.err
    written = [path for path in workspace.rglob("*") if path.is_file()]
    assert (len(written) > 4) == right
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_pairs_are_matched_by_prompt_and_sample_and_shown_in_both_orders(workspace, judge):
    first = write_responses(workspace, "aa", {"p": ["good", "good"], "q": ["good"], "only here": ["good"]})
    second = write_responses(workspace, "bb", {"p": ["bad", "bad"], "q": ["bad"]})

    def prefers_good(body: dict) -> str:
        shown = body["messages"][-1]["content"]
        return "The answer is: " + ("A" if shown.index("good") < shown.index("bad") else "B")

    with ChatServer(answer=prefers_good) as server:
        ask = ("--judge", server.url, "--judge-model", "test-model", "--attribute", "better")
        said = judge("compare", "aa", "bb", *ask)
        assert "6 questions judged (6 a, 0 b, 0 tie" in said.out
        assert "3 questions judged (0 a, 3 b, 0 tie" in judge("compare", "bb", "aa", *ask, "--orders", "ab").out
    matched = {tuple(line["subjects"]) for line in score_lines(workspace) if line["order"] == "ba"}
    assert matched == {(one.id, other.id) for one, other in zip(first, second, strict=False)}
    orders = [line["order"] for line in score_lines(workspace)]
    assert (orders.count("ab"), orders.count("ba")) == (6, 3)


def test_rules_judge_without_a_model(workspace, judge):
    write_responses(workspace, "aa", {"p": ["one two three"], "q": ["one"]})
    said = judge("score", "--rubric", "length-words")
    assert "2 answers judged (2 scored, 0 tie, 0 unparsed, 0 failed) by rule.length-words" in said.out
    assert sorted(line["value"] for line in score_lines(workspace)) == [1.0, 3.0]


def test_the_rubric_follows_the_behaviour_of_each_cell(workspace, judge):
    write_responses(workspace, "aa", {"p": ["text"]}, dataset="/some/folder", behavior="sycophancy")
    write_responses(workspace, "bb", {"p": ["text"]}, dataset="demo", behavior="agree")
    with ChatServer(answer=lambda _: "yes 5") as server:
        judge("score", "--judge", server.url, "--judge-model", "test-model")
    assert {line["scorer"].split(".1-")[0] for line in score_lines(workspace)} == {
        "test-model.sycophancy",
        "test-model.demo.agreeing",
    }
