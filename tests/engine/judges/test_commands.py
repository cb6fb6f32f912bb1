"""`tiller judge …` and the judged half of `tiller steer …` from the outside: what is shown, and how bad input ends."""

from __future__ import annotations

import csv
import re
import subprocess
import sys

import pytest
from chat_server import ChatServer

from engine.judges.cli import STEPS
from engine.steering.cli import main as steer

from .conftest import write_responses

BAD = {  # options, exit status, words of the one sentence
    "unknown step": (["scroe"], 2, ["no step 'scroe'", "compare"]),
    "unknown rubric": (["score", "--rubric", "refusal-yesno"], 2, ["refusal-yesno", "did you mean refusal-yes-no"]),
    "unknown cell": (["score", "ff"], 2, ["'ff'", "aa"]),
    "ambiguous cell": (["compare", "a", "bb", "--attribute", "better"], 2, ["2 cells begin with 'a'"]),
    "one cell twice": (["compare", "aa", "aa", "--attribute", "better"], 2, ["name two"]),
    "no attribute": (["compare", "aa", "bb"], 2, ["attribute"]),
    "nothing in common": (["compare", "aa", "bb", "--attribute", "better"], 1, ["nothing to compare"]),
    "pair rubric for one": (["score", "--rubric", "pair", "--attribute", "better"], 2, ["tiller judge compare"]),
    "single rubric for two": (["compare", "aa", "bb", "--rubric", "refusal"], 2, ["tiller judge score"]),
    "no rubric fits": (["score", "aa"], 2, ["--rubric"]),
    "rules cannot be asked": (["score", "--judge", "rule", "--rubric", "refusal"], 2, ["--judge"]),
    "which model of OpenAI": (["score", "--judge", "openai", "--rubric", "refusal"], 2, ["--judge-model"]),
    "a server that is only named": (
        ["score", "--judge", "server", "--judge-model", "m", "--rubric", "refusal"],
        2,
        ["only names a judge", "http(s)://HOST/v1"],
    ),
    "no key": (
        ["score", "--judge", "openai", "--judge-model", "m", "--rubric", "refusal"],
        2,
        ["OPENAI_API_KEY", "export"],
    ),
    "unknown model": (["score", "--judge", "/no/model", "--rubric", "refusal"], 2, ["/no/model", "'demo'"]),
    "no server": (["score", "--judge", "http://127.0.0.1:9/v1", "--rubric", "refusal"], 1, ["127.0.0.1:9", "--judge-model"]),
    "out of range": (["score", "--concurrency", "0"], 2, ["--concurrency", "greater than or equal to 1"]),
    "nothing judged": (["table"], 1, ["tiller judge score"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_scores_nothing(workspace, judge, case):
    write_responses(workspace, "aa", {"p": ["text"]})
    write_responses(workspace, "ab", {"p": ["text"]})
    write_responses(workspace, "bb", {"other": ["text"]})
    argv, status, words = BAD[case]
    found = judge(*argv)
    assert found.status == status, found
    assert all(word in found.err for word in words), found.err
    assert not list(workspace.glob("artifacts/scores/*/*"))


def test_without_responses_the_mend_is_named(judge):
    found = judge("score")
    assert found.status == 1
    assert "tiller steer apply" in found.err


def test_every_rubric_is_listed_and_can_be_shown(judge):
    listed = judge("rubrics").out
    for name in ("sycophancy", "refusal-yes-no", "pair", "quality", "demo.<attribute>"):
        assert name in listed
    shown = judge("rubrics", "pair", "--attribute", "more polite").out
    assert "Which of the two responses is more polite" in shown
    assert "fingerprint" in shown
    assert "{attribute}" in judge("rubrics", "pair").out


def test_a_broken_rubric_says_why_in_the_list_and_hides_no_other(workspace, judge):
    (workspace / "rubrics").mkdir()
    (workspace / "rubrics/mine.toml").write_text('id = "mine"\nversion = 1\nabout = "x"\nkind = "skale"\n')
    listed = judge("rubrics")
    assert listed.status == 0
    assert "mine                    broken" in listed.out
    assert "sycophancy" in listed.out
    assert max(map(len, listed.out.splitlines()[:-1])) <= 80
    assert judge("rubrics", "mine").status == 2


def test_help_and_what_needs_no_model_never_import_torch(workspace):
    write_responses(workspace, "aa", {"p": ["text"]})
    code = "import sys; from engine.judges.cli import main; s = main(sys.argv[1:]); sys.exit(s or 3 * ('torch' in sys.modules))"
    for argv in ([], *([name, "--help"] for name in STEPS), ["score", "--rubric", "length-words"], ["table"]):
        done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)
        assert done.returncode == (0 if argv else 2), (argv, done.stderr)


def test_a_sweep_judged_on_a_scale_by_a_server_is_drawn_on_that_scale_with_its_counts(workspace, judge, capsys):
    sweep = ["--behavior", "happy", "--questions", "open", "--multipliers", "0", "0.5", "--limit", "5", "--samples", "2"]
    assert steer(["vectors", "--behavior", "happy"]) == 0
    assert steer(["apply", *sweep]) == 0
    counter = iter(range(10_000))
    with ChatServer(answer=lambda _: "no idea" if next(counter) % 5 == 0 else "7") as server:
        asked = ["--judge", server.url, "--judge-model", "test-model", "--rubric", "quality"]
        assert steer(["score", *sweep, *asked]) == 0
        scored = capsys.readouterr()
    named = ["--judge", "server", *asked[2:]]  # what has been judged is shown without the server
    assert steer(["plot", *sweep, *named]) == 0
    drawn = capsys.readouterr().out
    assert "20 answers judged" in scored.out
    assert "unparsed, 0 failed" in scored.out
    assert "warning" in scored.err
    assert "mean score, quality, 0 to 10" in drawn
    assert "7.00 [7.00–7.00]" in drawn
    assert "10.0┤" in drawn
    assert "20 verdicts, of them 0 tie, " in drawn
    assert re.search(r"! left out, since they got no answer: \d+% of vector at \+0", drawn)
    assert "judge test-model: not checked; run `tiller judge check --rubric quality`" in drawn
    (numbers,) = workspace.glob("artifacts/plots/*.csv")
    assert steer(["score", *sweep, "--rubric", "length-words"]) == 0
    assert steer(["plot", *sweep, "--rubric", "length-words"]) == 0
    assert len([*workspace.glob("artifacts/plots/*.csv")]) == 2  # a plot by one judge does not replace another's
    rows = list(csv.DictReader(numbers.open()))
    assert {float(row["mean"]) for row in rows} == {7.0}
    assert sum(int(row["unparsed"]) for row in rows) > 0
    assert sum(int(row["observations"]) + int(row["unparsed"]) for row in rows) == 20
