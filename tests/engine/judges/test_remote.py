"""A judge behind a server: every subject gets a verdict, whatever the server does, and no question is asked without need."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from chat_server import ChatServer
from waiting import until

from engine.errors import EngineError
from engine.judges.remote import verdicts
from engine.judges.replies import replies_folder
from engine.judges.rubric import Rubric
from engine.judges.verdict import Subject, Verdict
from engine.remote.types import Endpoint, Usage
from engine.workspace import Workspace

SECRET = "sk-never-to-be-seen"
SCALE = Rubric(id="number", version=1, kind="scale", about="the number named", scale=(0, 10), question="{answer} Which number?")
PAIR = Rubric(
    id="two", version=1, kind="pair", about="more", question="A: {answer_a} B: {answer_b} Which is more?", max_tokens=60
)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def subject(number: int, case: int = 0) -> Subject:
    return Subject(f"case {case}", (f"I say {number}.",))


def name_the_number(body) -> str:
    return re.findall(r"say (\d+)", body["messages"][-1]["content"])[-1]


def judged(
    workspace: Workspace, server: ChatServer, subjects, rubric: Rubric = SCALE, judge: str = "judge", usage=None, **options
):
    sampling = {name: options.pop(name) for name in ("temperature", "seed", "max_tokens") if name in options}
    endpoint = Endpoint(server.url, "test-model", **{"concurrency": 200, "timeout": 5.0, "deadline": 30.0} | options)
    pairs = list(verdicts(workspace, judge, endpoint, rubric, subjects, usage=usage or Usage(), **sampling))
    assert sorted(index for index, _ in pairs) == list(range(len(subjects)))
    return [verdict for _, verdict in sorted(pairs, key=lambda pair: pair[0])]


def test_every_subject_gets_its_verdict_though_a_fifth_of_the_tries_fail(workspace):
    subjects = [subject(number % 11, case=number) for number in range(400)]
    usage = Usage()
    with ChatServer(answer=name_the_number, delay=0.05, faults=0.2, seed=4, bodies=[]) as server:
        found = judged(workspace, server, subjects, usage=usage, timeout=1.0)
    assert [verdict.value for verdict in found] == [float(number % 11) for number in range(400)]
    assert {verdict.label for verdict in found} == {"scored"}
    assert usage.tries >= server.counts.requests > 400


def test_what_was_replied_once_is_read_again_and_the_server_is_not_needed(workspace):
    subjects = [subject(number) for number in range(5)]
    with ChatServer(answer=name_the_number) as server:
        first = judged(workspace, server, subjects)
        more = judged(workspace, server, [*subjects, subject(9)])
        assert server.counts.requests == 6
    assert judged(workspace, server, subjects) == first == more[:5]


def test_another_judge_and_another_rubric_are_asked_anew(workspace):
    other = SCALE.model_copy(update={"question": "{answer} The number, please?"})
    with ChatServer(answer=name_the_number) as server:
        judged(workspace, server, [subject(1)])
        judged(workspace, server, [subject(1)], judge="other judge")
        judged(workspace, server, [subject(1)], rubric=other)
    assert server.counts.requests == 3


def test_kept_replies_are_read_by_another_rule_without_asking_again(workspace):
    rubric = Rubric(id="r", version=1, kind="choice", about="x", answers=("yes", "no"), question="{answer}?")
    last = rubric.model_copy(update={"reading": "last"})
    with ChatServer(answer=lambda _: "No doubt about it: yes") as server:
        found = [judged(workspace, server, [subject(1)], rubric=one)[0].label for one in (rubric, last)]
        assert server.counts.requests == 1
    assert found == ["unparsed", "yes"]
    assert rubric.fingerprint() != last.fingerprint()


def test_equal_questions_are_asked_once_and_all_answered(workspace):
    with ChatServer(answer=name_the_number) as server:
        found = judged(workspace, server, [subject(3), subject(4), subject(3), subject(3)])
    assert [verdict.value for verdict in found] == [3.0, 4.0, 3.0, 3.0]
    assert server.counts.requests == 2


def test_a_pair_in_both_orders_is_two_questions_whose_verdicts_are_about_the_same_first_answer(workspace):
    both = [Subject("p", ("more", "less"), order) for order in ("ab", "ba")]
    with ChatServer(
        answer=lambda body: "The answer is: " + ("A" if "A: more" in body["messages"][-1]["content"] else "B")
    ) as server:
        assert [verdict.value for verdict in judged(workspace, server, both, rubric=PAIR)] == [1.0, 1.0]
        assert server.counts.requests == 2
        judged(workspace, server, both, rubric=PAIR)
        assert server.counts.requests == 2


def test_a_reply_that_is_no_answer_is_kept_and_unparsed(workspace):
    with ChatServer(answer=lambda _: "Hard to say.") as server:
        assert judged(workspace, server, [subject(1)]) == [Verdict(None, "unparsed", "Hard to say.")]
        judged(workspace, server, [subject(1)])
        assert server.counts.requests == 1


def test_a_failure_is_a_verdict_with_its_reason_and_is_asked_again_next_time(workspace):
    usage = Usage()
    with ChatServer(answer=name_the_number, longest=60) as server:
        long = Subject("case", ("I say 5." + " And so on." * 20,))
        found = judged(workspace, server, [subject(1), long, long], usage=usage, structured="off")
        assert [verdict.label for verdict in found] == ["scored", "failed", "failed"]
        assert found[1].value is None
        assert "400" in found[1].raw["error"]
        assert usage.failed == 1
        server.longest = 1000
        assert judged(workspace, server, [subject(1), long, long])[1].value == 5.0
        assert server.counts.requests == 3


def test_a_reply_is_on_disk_before_its_verdict_is_given(workspace):
    with ChatServer(answer=name_the_number) as server:
        endpoint = Endpoint(server.url, "test-model", concurrency=3)
        arriving = verdicts(workspace, "judge", endpoint, SCALE, [subject(number) for number in range(10)], usage=Usage())
        for count, _ in enumerate(arriving, start=1):
            [path] = replies_folder(workspace, "judge").iterdir()
            assert len(path.read_text().splitlines()) == count


def test_the_rubric_and_the_settings_decide_how_it_is_asked(workspace):
    with ChatServer(answer=name_the_number, bodies=[]) as server:
        judged(workspace, server, [subject(1)], structured="off")
        judged(workspace, server, [subject(2)], structured="off", temperature=0.5, seed=7, max_tokens=33)
        judged(workspace, server, [subject(3)])
    plain, chosen, structured = server.bodies or []
    assert (plain["temperature"], plain["max_tokens"], "seed" in plain) == (0.0, 10, False)
    assert (chosen["temperature"], chosen["seed"], chosen["max_tokens"]) == (0.5, 7, 33)
    assert "response_format" not in plain
    assert structured["response_format"]["json_schema"]["schema"]["required"] == ["answer"]
    assert structured["max_tokens"] > plain["max_tokens"]  # braces and quotes are tokens too


def test_structured_replies_are_read(workspace):
    with ChatServer(answer=lambda body: json.dumps({"answer": int(name_the_number(body))})) as server:
        assert judged(workspace, server, [subject(8)])[0].value == 8.0


def test_a_refused_key_ends_it_and_stands_nowhere(workspace, monkeypatch, capsys):
    monkeypatch.setenv("TILLER_KEY_TEST", SECRET)
    with ChatServer(key=SECRET, answer=lambda _: f"7, and your key is {SECRET}") as server:
        judged(workspace, server, [subject(7)], key_env="TILLER_KEY_TEST")
        server.key = "another"
        with pytest.raises(EngineError, match="401") as caught:
            judged(workspace, server, [subject(number) for number in range(9)], key_env="TILLER_KEY_TEST")
    written = b"".join(path.read_bytes() for path in workspace.root.rglob("*") if path.is_file())
    assert b"and your key is" in written
    for text in (written.decode(), str(caught.value), *capsys.readouterr()):
        assert SECRET not in text
        assert str(server.port) not in text or text == str(caught.value)


SCORER = """
    import json, os, sys
    from engine.judges.remote import verdicts
    from engine.judges.rubric import Rubric
    from engine.judges.verdict import Subject
    from engine.remote.types import Endpoint, Usage
    from engine.workspace import Workspace
    from pathlib import Path

    root, url = Path(sys.argv[1]), sys.argv[2]
    rubric = Rubric.model_validate_json(sys.argv[3])
    subjects = [Subject(f"case {number}", (f"I say {number % 11}.",)) for number in range(300)]
    endpoint = Endpoint(url, "test-model", concurrency=20)
    for index, verdict in verdicts(Workspace(root), "judge", endpoint, rubric, subjects, usage=Usage()):
        print(index, verdict.value, flush=True)
"""


def test_after_two_kills_every_subject_is_judged_and_only_what_was_in_flight_is_asked_again(workspace):
    command = [sys.executable, "-c", textwrap.dedent(SCORER), str(workspace.root)]
    with ChatServer(answer=name_the_number, delay=0.05) as server:
        for wanted in (60, 160):
            child = subprocess.Popen([*command, server.url, SCALE.model_dump_json()], stdout=subprocess.DEVNULL)
            until(lambda wanted=wanted: len(_kept(workspace)) >= wanted, f"{wanted} replies are kept")
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            assert len(_kept(workspace)) < 300
        done = subprocess.run([*command, server.url, SCALE.model_dump_json()], capture_output=True, text=True, check=True)
    values = dict(line.split() for line in done.stdout.splitlines())
    assert values == {str(number): f"{float(number % 11)}" for number in range(300)}
    assert len(done.stdout.splitlines()) == 300
    assert sorted(set(_kept(workspace))) == sorted(_kept(workspace))
    assert server.counts.requests - 300 <= 2 * 20
    assert server.counts.max_in_flight <= 20


def _kept(workspace: Workspace) -> list[str]:
    """The prompts' hashes of all whole records."""
    lines = [line for path in replies_folder(workspace, "judge").glob("*.jsonl") for line in path.read_text().split("\n")[:-1]]
    return [json.loads(line)["prompt_sha256"] for line in lines]
