"""Runs on the demo pair, from the command line: what they find, what they refuse, and that a kill changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from chat_server import ChatServer
from reading_assistant import reading
from waiting import until

from engine.cd.cli import main
from engine.cd.pipeline.splits import is_held_out
from engine.cd.prompts.asked import asked_prompt, demo_texts
from engine.significance import Lond
from engine.store import read_catalog
from engine.workspace import Workspace, find_workspace

TILLER = Path(sys.executable).with_name("tiller")
QUICK = ("--prompts", "demo", "--samples", "3", "--max-new-tokens", "24", "--permutations", "499", "--no-show")


def reports(root: Path) -> list[Path]:
    return sorted((root / "artifacts" / "pipelines").glob("*/report.json"))


def the_report(root: Path) -> dict:
    (path,) = reports(root)
    return json.loads(path.read_text())


def stages(root: Path) -> list[str]:
    files = sorted((root / "artifacts" / "pipelines").glob("*/*.jsonl"))
    return [json.loads(line)["stage"] for path in files for line in path.read_text().splitlines()]


def held_out_prompts(report: dict) -> list[str]:
    return [one["text"] for one in report["prompts"] if is_held_out(one["id"], report["settings"]["held_out"])]


@pytest.fixture
def pipeline(workspace, capsys):
    def called(*words: str) -> tuple[int, str, str]:
        code = main(["pipeline", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return called


def test_counting_alone_finds_what_was_planted_and_the_command_can_be_given_again(pipeline, workspace):
    words = ("--prompts", "demo", "--samples", "12", "--max-new-tokens", "30", "--cycles", "1")
    code, out, _ = pipeline(*words)
    assert code == 0
    assert out.strip().endswith("report.html")
    report = the_report(workspace)
    supported = [one for one in report["hypotheses"] if one["status"] == "supported"]
    assert any("Zorbo" in phrase for one in supported for phrase in one["experiment"]["phrases"])
    for one in supported:
        test = next(found for found in one["evidence"] if found["kind"] == "held-out")
        assert test["p"] <= test["level"]
        amounts = f"starting {test['starting']:.1%}, comparison {test['comparison']:.1%} of texts"
        for name in ("report.md", "report.html"):
            told = reports(workspace)[0].with_name(name).read_text()
            assert one["experiment"]["measure"] != "contains" or amounts in told
            assert "interval of the effect lies below 0.2; a smaller difference may still be there" in told
    assert held_out_prompts(report) == []  # nothing of them is shown to whoever proposes
    assert report["spent"]["requests"] == 0
    cells = read_catalog(find_workspace(), "cells")
    seeds = [cells[report["cells"][side]]["settings"]["seed"] for side in ("starting", "comparison")]
    assert seeds[0] != seeds[1]  # with shared draws two equal models would write equal texts, and no test mean anything

    records = [record for record in read_catalog(Workspace(workspace), "cells").values() if record["step"] == "cd.decode"]
    assert {record["facts"]["role"] for record in records} == {"pipeline"}  # no text joins those of `tiller cd decode`

    before = reports(workspace)[0].read_bytes()
    code, out, _ = pipeline(*words, "--no-show")
    assert code == 0
    assert "stages were there already" in out
    assert reports(workspace)[0].read_bytes() == before
    # the same run goes on when it may, and shows itself without a model
    assert pipeline(*words[:-2], "--cycles", "2", "--no-show")[0] == 0
    assert the_report(workspace)["cycles"] == 2
    tests = [found for one in the_report(workspace)["hypotheses"] for found in one["evidence"] if found["kind"] == "held-out"]
    lond = Lond(0.05)
    assert len(tests) > 3
    for test in tests:  # every test of a run makes the next one's level, also those of an earlier command
        assert test["level"] == lond.threshold()
        lond.test(test["p"])
    code, out, _ = pipeline("report")
    assert code == 0
    assert "Divergence over cycles" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80


def test_an_assistant_that_reads_finds_it_too_and_its_prompts_are_decoded(pipeline, workspace):
    with ChatServer(reading()) as server:
        server.bodies = []
        words = (
            "--prompts",
            "demo",
            "--samples",
            "8",
            "--max-new-tokens",
            "30",
            "--cycles",
            "2",
            "--topics",
            "food",
            "--no-show",
        )
        code, _out, err = pipeline(*words, "--assistant", server.url)
        assert code == 0, err
    report = the_report(workspace)
    assert any("Zorbo" in one["text"] for one in report["hypotheses"] if one["status"] == "supported")
    assert report["spent"]["requests"] == server.counts.requests
    assert {one["cycle"] for one in report["prompts"] if one["source"] != "given"} == {2}
    assert report["topics"]["summaries"]["food"] == "They are about things."
    # whoever proposes never sees a prompt that tests
    tested = [text for text in demo_texts() if is_held_out(asked_prompt(text).id, 0.5)]
    said = [body["messages"][-1]["content"] for body in server.bodies]
    assert tested
    assert not any(text in one for text in tested for one in said)
    page = reports(workspace)[0].with_name("report.html").read_text()
    assert page.count("<img") == 5
    assert "<script" not in page


def test_markup_and_control_codes_of_a_reply_stay_text(pipeline, workspace):
    def spoil(form: str, said: str) -> str:
        if form == "analysis":
            return json.dumps({"analysis": "<script>alert(1)</script> \x1b[31m **bold** | cell"})
        return said

    with ChatServer(reading(spoil)) as server:
        code, out, _ = pipeline(*QUICK, "--cycles", "1", "--limit", "16", "--assistant", server.url)
        assert code == 0
    (path,) = reports(workspace)
    page, told = path.with_name("report.html").read_text(), path.with_name("report.md").read_text()
    assert "<script>alert" not in page
    assert "\\*\\*bold\\*\\* \\| cell" in told
    assert "\x1b" not in page + told + out


def test_a_useless_assistant_ends_with_one_sentence_and_no_result(pipeline, workspace):
    with ChatServer(lambda _: "As you wish.") as server:
        code, _, err = pipeline(*QUICK, "--limit", "16", "--quiet-cycles", "1", "--assistant", server.url)
    assert code == 1
    assert "could be read" in err.splitlines()[-1]
    report = the_report(workspace)
    assert report["hypotheses"] == []
    assert report["survey"]["overall"] is None
    assert report["spent"]["unread_replies"] > 0


def test_experiments_that_cannot_be_run_leave_their_hypotheses_undecided(pipeline, workspace):
    def spoil(form: str, said: str) -> str:
        return '{"measure": "regex", "expected": "starting"}' if form == "measure" else said

    with ChatServer(reading(spoil)) as server:
        code, _, err = pipeline(*QUICK, "--limit", "16", "--cycles", "1", "--assistant", server.url)
        assert code == 0, err
    (first, *_) = the_report(workspace)["hypotheses"]
    assert (first["status"], first["evidence"], first["p_adjusted"]) == ("inconclusive", [], None)
    assert "no experiment that could be read" in first["note"]


def test_budgets_end_a_run_and_a_larger_one_goes_on(pipeline, workspace):
    with ChatServer(reading(judged=True)) as server:
        words = (*QUICK, "--limit", "16", "--cycles", "1", "--assistant", server.url)
        assert pipeline(*words, "--max-requests", "20")[0] == 0
        report = the_report(workspace)
        assert report["stopped"] == "the budget of --max-requests 20"
        assert report["spent"]["requests"] <= 20
        assert pipeline(*words, "--max-requests", "20")[0] == 0
        assert the_report(workspace) == report
        assert pipeline(*words)[0] == 0
        whole = the_report(workspace)
        assert whole["stopped"] == "--cycles 1"
        assert whole["spent"]["requests"] == server.counts.requests  # nothing was asked twice


def test_a_server_that_is_gone_is_one_sentence_and_the_run_goes_on_later(pipeline, workspace):
    silent = threading.Event()

    def spoil(form: str, said: str) -> str:
        return said if form != "hypotheses" or not silent.is_set() else _gone()

    silent.set()
    with ChatServer(reading(spoil), faults=0.0) as server:
        words = (*QUICK, "--limit", "16", "--cycles", "1", "--deadline", "1", "--assistant", server.url)
        code, _, err = pipeline(*words)
        assert code == 1
        assert "were not answered" in err.splitlines()[-1]
        assert reports(workspace) == []
        silent.clear()
        assert pipeline(*words)[0] == 0
    assert the_report(workspace)["stopped"] == "--cycles 1"


def _gone() -> str:
    raise ConnectionError("the scripted assistant went away")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--prompt", "a", "b"), "give more prompts"),
        (("--prompts", "demo", "--temperature", "0"), "--temperature 0"),
        (("--prompts", "demo", "--num-beams", "4"), "--num-beams"),
        (("--prompts", "demo", "--judge", "http://127.0.0.1:1/v1"), "--judge is about an assistant"),
        (("--prompts", "demo", "--cell", "abc"), "no texts of two models"),
        ((), "Nothing is asked"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(pipeline, workspace, words, why):
    code, _, err = pipeline(*words)
    assert code == 2
    assert why in err
    assert err.count("\n") == 1
    assert not (workspace / "artifacts").exists()


def test_a_cell_that_is_there_is_looked_at_first(pipeline, workspace, capsys):
    assert main(["decode", "--prompts", "demo", "--limit", "20", "--samples", "2", "--max-new-tokens", "20"]) == 0
    capsys.readouterr()
    (cell,) = (path.name for path in (workspace / "artifacts" / "responses").iterdir())
    code, _, err = pipeline("--cell", cell[:6], *QUICK[2:], "--cycles", "1", "--max-new-tokens", "18")
    assert code == 0, err
    report = the_report(workspace)
    assert {one["source"] for one in report["prompts"]} == {"given"}
    # the contrast of the run's own settings was not decoded on them
    assert not (workspace / "artifacts" / "responses" / report["cells"]["contrast"]).exists()
    code, _, err = pipeline("--cell", cell[:6], "--comparison", "demo", *QUICK[2:])
    assert code == 2
    assert "of two other models" in err


# --- killed anywhere ---


def words_of(url: str, cycles: int) -> list[str]:
    return [*QUICK, "--limit", "20", "--cycles", str(cycles), "--topics", "food", "--hypotheses", "1", "--assistant", url]


def begun(root: Path, url: str, cycles: int = 2) -> subprocess.Popen[str]:
    (root / "tiller.toml").touch()
    words = [TILLER, "cd", "pipeline", *words_of(url, cycles)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TILLER_")}
    return subprocess.Popen(
        words,
        cwd=root,
        env=environment | {"TILLER_WORKSPACE": str(root), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> None:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err + out


def written(root: Path) -> dict[str, bytes]:
    (path,) = reports(root)
    return {one.name: one.read_bytes() for one in path.parent.glob("report.*")}


def killed_when(root: Path, server: ChatServer, condition, what: str, cycles: int = 2) -> None:
    process = begun(root, server.url, cycles)
    until(lambda: condition() or process.poll() is not None, what)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert reports(root) == [], "it was too late to kill it"


def moments(root: Path, server: ChatServer):
    """What a run is doing → how that is seen from outside."""
    return {
        "its first texts are being written": lambda: list((root / "artifacts").glob("responses/*/*.jsonl")),
        "the assistant is being asked": lambda: server.counts.requests >= 3,
        "a judge is being asked": lambda: any("Does it say" in asked for asked in list(server.counts.asked)),
        "it is in its second cycle": lambda: "2/prompts" in stages(root),
        "its last stage": lambda: "2/analyse" in stages(root),
    }


def test_a_run_that_is_killed_while_it_asks_ends_as_one_that_is_not(pipeline, workspace, monkeypatch):
    undisturbed, disturbed = workspace, workspace / "two"
    disturbed.mkdir()
    with ChatServer(reading(judged=True)) as server:
        assert pipeline(*words_of(server.url, 1))[0] == 0
        asked, server.counts.asked = server.counts.requests, Counter()
        what = "a judge is being asked"
        killed_when(disturbed, server, moments(disturbed, server)[what], what, cycles=1)
        monkeypatch.setenv("TILLER_WORKSPACE", str(disturbed))
        assert pipeline(*words_of(server.url, 1))[0] == 0
        again = server.counts.requests - 2 * asked
        assert 0 <= again <= 16  # what was in flight, and no more, is asked twice; it is counted once
    assert written(disturbed) == written(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("what", list(moments(Path(), ChatServer())))
def test_a_kill_at_any_moment_changes_nothing(tmp_path, undisturbed_report, what):
    with ChatServer(reading(judged=True), delay=0.02) as server:
        killed_when(tmp_path, server, moments(tmp_path, server)[what], what)
        ended(begun(tmp_path, server.url))
    assert written(tmp_path) == undisturbed_report


@pytest.fixture(scope="module")
def undisturbed_report(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    with ChatServer(reading(judged=True)) as server:
        ended(begun(root, server.url))
    return written(root)


@pytest.mark.slow
def test_two_equal_models_support_hardly_anything(pipeline, workspace):
    """Eight seeds of a model against itself: one run in twenty may support something."""
    for seed in range(8):
        code, _, err = pipeline(
            "--comparison", "demo", *QUICK, "--samples", "6", "--cycles", "1", "--seed", str(seed), "--hypotheses", "4"
        )
        assert code == 0, err
    found = [json.loads(path.read_text()) for path in reports(workspace)]
    assert len(found) == 8
    assert sum(len(one["hypotheses"]) for one in found) >= 8  # there was something to reject
    assert sum(any(h["status"] == "supported" for h in one["hypotheses"]) for one in found) <= 2
