"""`tiller data make …` against a real server: what is asked, kept, dropped and why, and what a set looks like."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from chat_server import ChatServer
from waiting import until
from writing_assistant import contrast, phrase, query, writing

from engine.data_making.cli import main
from engine.steering.data import load_data

ABOUT = ["--behavior", "agree", "--description", "agrees with what the user says", "--opposite", "keeps to its own view"]


def options(server: ChatServer, *more: str) -> list[str]:
    return ["--assistant", server.url, *more]


def make(capsys, *argv: str, status: int = 0) -> tuple[str, str]:
    code = main(["make", *argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert code == status, err
    return out.strip(), err


def read(path: Path) -> list:
    return json.loads(path.read_text())


def generate(workspace: Path, name: str = "generate_dataset", behavior: str = "agree") -> list[dict[str, str]]:
    return read(workspace / f"datasets/made/generate/{behavior}/{name}.json")


def held_out(workspace: Path, name: str) -> list[dict[str, str]]:
    return read(workspace / f"datasets/made/test/agree/{name}.json")


def provenance(workspace: Path, path: str = "made/agree") -> dict:
    return json.loads((workspace / f"datasets/{path}.provenance.json").read_text())


def test_contrast_pairs_become_a_data_set_that_steering_reads(workspace, capsys):
    with ChatServer(writing(contrast)) as server:
        out, _ = make(capsys, "contrast", *ABOUT, *options(server, "--count", "101", "--validation", "0.2", "--test", "0.3"))
    assert "101 of 101 items" in out
    items, tests = generate(workspace), held_out(workspace, "test_dataset_ab")
    assert len(items) + len(tests) == 101
    for part in (items, tests):
        letters = Counter(item["answer_matching_behavior"] for item in part)
        assert abs(letters["(A)"] - letters["(B)"]) == len(part) % 2
        for item in part:
            assert {item["answer_matching_behavior"], item["answer_not_matching_behavior"]} == {"(A)", "(B)"}
            letter = item["answer_matching_behavior"]
            (right,) = [line for line in item["question"].splitlines() if line.startswith(f" {letter}")]
            assert "quite right" in right
            assert item["question"].count("\n (") == 2
    balanced = generate(workspace, "generate_balanced_dataset")
    letters = Counter(item["answer_matching_behavior"] for item in balanced)
    assert letters["(A)"] == letters["(B)"]
    assert len(items) - len(balanced) in (0, 1)
    spoken = generate(workspace, "generate_openresponse_dataset")
    assert [item["question"] for item in spoken] == [item["question"].partition("\n\nChoices:")[0] for item in items]
    assert all("quite right" in item["answer_matching_behavior"] for item in spoken)
    opened = held_out(workspace, "test_dataset_open_ended")
    assert [item["question"] for item in opened] == [item["question"].partition("\n\nChoices:")[0] for item in tests]

    made = provenance(workspace)
    held = made["splits"]["validation"]
    data = load_data(str(workspace / "datasets/made"), "agree", "ab", held)
    shows = data.contrast.classes["positive"]
    assert (len(shows), len(data.validation.items), len(data.test.items)) == tuple(made["splits"].values())
    notes = [json.loads(line) for line in (workspace / "made").read_text().splitlines()]
    assert {note["kind"] for note in notes} == {"dataset", "replies"}
    assert all((workspace / note["path"]).is_file() for note in notes)


def test_every_request_asks_for_something_else_and_sends_a_schema(workspace, capsys):
    server = ChatServer(writing(contrast))
    server.bodies = []
    with server:
        make(capsys, "contrast", *ABOUT, *options(server, "--count", "60", "--per-request", "5"))
    assert max(server.counts.asked.values()) == 1
    assert len({body["seed"] for body in server.bodies}) == len(server.bodies)
    assert all("agrees with what the user says" in body["messages"][0]["content"] for body in server.bodies)
    schema = server.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["items"]["items"]["required"] == ["question", "matching", "not_matching"]


def spoilt(items, r):
    """Of ten items four are good; one reply in three is none at all."""
    kind = r.randrange(6)
    if kind == 0:
        return "I am sorry, I would rather not."
    if kind == 1:
        return "Here you are:\n```json\n" + json.dumps(items[:4]) + "\n```\nAnything else?"
    items[0] = "a text"
    del items[1]["matching"]
    items[2]["not_matching"] = items[2]["matching"]
    items[3]["question"] = "What does [name] say about it?"
    items[4]["matching"] = "(A) " + items[4]["matching"]
    items[5] = dict(items[6])
    return items if kind == 2 else {"items": items}


def test_what_is_malformed_is_dropped_and_counted_by_reason(workspace, capsys):
    with ChatServer(writing(contrast, spoilt)) as server:
        _, err = make(capsys, "contrast", *ABOUT, *options(server, "--count", "60", "--max-requests", "60"))
    dropped = provenance(workspace)["counts"]["dropped"]
    assert set(dropped) == {
        "reply without JSON", "no object", "matching missing", "answers are the same", "placeholder", "letter in the text",
        "duplicate",
    } | ({"near-duplicate"} & set(dropped))  # fmt: skip
    counts = provenance(workspace)["counts"]
    inside = sum(count for reason, count in dropped.items() if not reason.startswith("reply"))
    assert counts["records"] == counts["kept"] + counts["surplus"] + inside
    assert counts["kept"] == 60
    assert all(f"{count} {reason}" in err for reason, count in dropped.items())
    questions = [item["question"].partition("\n\n")[0] for item in generate(workspace)]
    assert len(set(questions)) == len(questions)
    assert not any("[name]" in text for text in questions)


def test_near_duplicates_and_items_of_other_sets_do_not_come_again(workspace, capsys, tmp_path):
    def alike(items, _):
        again = items[0] | {"question": items[0]["question"].replace("what do you say", "what would you say")}
        return [*items[:3], again]

    avoided = tmp_path / "avoid.json"
    with ChatServer(writing(contrast, alike)) as server:
        arguments = ["contrast", *ABOUT, *options(server, "--count", "30")]
        make(capsys, *arguments)
        assert provenance(workspace)["counts"]["dropped"]["near-duplicate"] >= 5
        first = [item["question"].partition("\n\n")[0] for item in generate(workspace)]
        avoided.write_text(json.dumps(generate(workspace)))
        asked = server.counts.requests
        make(capsys, *arguments, "--avoid", str(avoided), "--overwrite", "--max-requests", "99")
    second = [item["question"].partition("\n\n")[0] for item in generate(workspace)]
    assert not set(first) & set(second)
    assert server.counts.requests > asked


def test_giving_up_keeps_what_there_is_and_says_why(workspace, capsys):
    with ChatServer(writing(contrast, lambda items, _: [items[0], {}])) as server:
        arguments = ["contrast", *ABOUT, *options(server, "--count", "40")]
        _, err = make(capsys, *arguments, "--max-requests", "7", status=1)
        assert server.counts.requests == 7
        assert "7 of 40 items from 7 requests" in err
        assert "7 question missing" in err
        assert "--max-requests" in err
        assert sum(provenance(workspace)["splits"].values()) == 7
        assert len(generate(workspace)) == 7 - provenance(workspace)["splits"]["test"]
        assert provenance(workspace)["complete"] is False
        out, _ = make(capsys, *arguments, "--max-requests", "60")
        assert "40 of 40 items" in out
        assert "7 of them answered before" in out
        assert server.counts.requests == provenance(workspace)["counts"]["requests"]  # none was asked twice


def test_an_assistant_that_only_fails_is_one_sentence(workspace, capsys):
    with ChatServer(faults=1.0, kinds=("500",)) as server:
        _, err = make(capsys, "contrast", *ABOUT, *options(server, "--count", "20", "--deadline", "0.5"), status=1)
    assert "nothing was written" in err
    assert not (workspace / "datasets").exists()


def test_a_finished_set_is_found_and_another_is_not_overwritten(workspace, capsys):
    with ChatServer(writing(contrast)) as server:
        arguments = ["contrast", *ABOUT, *options(server)]
        make(capsys, *arguments, "--count", "20")
        before, asked = generate(workspace), server.counts.requests
        out, _ = make(capsys, *arguments, "--count", "20")
        assert "already there" in out
        _, err = make(capsys, *arguments, "--count", "30", status=2)
        assert "--overwrite" in err
        assert server.counts.requests == asked
        assert generate(workspace) == before
        make(capsys, *arguments, "--count", "30", "--overwrite")
        assert server.counts.requests == asked + 1  # the first two replies were on disk
        stems = {item["question"].partition("\n")[0] for item in generate(workspace)}
        assert {item["question"].partition("\n")[0] for item in before} <= stems  # more items move none to another split


def test_queries_that_presuppose_their_answer_are_dropped(workspace, capsys):
    def leading(items, _):
        return [*items, "Why is it okay to keep a lost wallet?", "Don't you think rain is pleasant?"]

    arguments = ["queries", "--name", "odd", "--description", "everyday decisions", "--count", "50"]
    with ChatServer(writing(query, leading)) as server:
        make(capsys, *arguments, *options(server))
    parts = {path.stem: read(path) for path in (workspace / "datasets/queries/odd").iterdir()}
    assert set(parts) == {"train", "validation", "test"}
    everything = [text for part in parts.values() for text in part]
    assert len(set(everything)) == len(everything) == 50
    assert all(text.startswith("Should one") for text in everything)
    assert provenance(workspace, "queries/odd")["counts"]["dropped"]["presupposes the answer"] >= 8


def test_phrases_come_in_equal_numbers_for_each_role(workspace, capsys):
    def slips(items, _):
        return [
            *items,
            items[0] | {"phrase": "suppportive"},
            items[1] | {"phrase": "kindly", "eval_phrase": "is more discourages cruelty"},
            items[2] | {"phrase": "brisk", "instruction": "Make it brisk"},
        ]

    arguments = ["phrases", "--name", "mine", "--count", "31", "--roles", "ask", "watch", "neutral"]
    with ChatServer(writing(phrase, slips)) as server:
        make(capsys, *arguments, *options(server))
    path = workspace / "datasets/phrases/mine.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert Counter(record["role"] for record in records) == {"ask": 11, "watch": 10, "neutral": 10}
    assert all(set(record) == {"id", "instruction", "eval_phrase", "role", "measure", "tags"} for record in records)
    assert all(record["measure"] == (record["role"] != "neutral") for record in records)
    assert len({record["id"] for record in records}) == 31
    dropped = provenance(workspace, "phrases/mine")["counts"]["dropped"]
    assert {"misspelt", "eval_phrase is no verb phrase", "instruction does not begin with 'Edit RESPONSE'"} <= set(dropped)
    capsys.readouterr()
    assert main(["check", str(path)]) == 0
    assert "\nphrases " in capsys.readouterr().out


def test_no_key_is_written(workspace, capsys, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-not-to-be-seen-1234567890")
    with ChatServer(writing(contrast), key="sk-not-to-be-seen-1234567890") as server:
        make(capsys, "contrast", *ABOUT, *options(server, "--assistant-key", "MY_KEY", "--count", "10"))
    written = [path.read_bytes() for path in workspace.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not any(b"not-to-be-seen" in content for content in written)


def test_examples_and_own_topics_are_shown(workspace, capsys, tmp_path):
    shown = [{"question": f"example {i}?", "matching": "yes", "not_matching": "no"} for i in range(5)]
    (tmp_path / "good.json").write_text(json.dumps(shown))
    server = ChatServer(writing(contrast))
    server.bodies = []
    more = ["--count", "40", "--examples", str(tmp_path / "good.json"), "--topics", "beekeeping", "glass"]
    with server:
        make(capsys, "contrast", *ABOUT, *options(server, *more))
    texts = [body["messages"][0]["content"] for body in server.bodies]
    assert all(text.count("example ") == 3 and "beekeeping" in text and "glass" in text for text in texts)
    assert len({tuple(line for line in text.splitlines() if "example " in line) for text in texts}) > 1


BAD = {
    "no behaviour": (["contrast", "--assistant", "http://127.0.0.1:9/v1"], "--behavior"),
    "a name that is a path": (
        ["contrast", "--behavior", "../x", "--description", "says so", "--assistant", "demo"],
        "--behavior ../x",
    ),
    "nothing to train on": (
        ["contrast", *ABOUT, "--assistant", "demo", "--test", "0.6", "--validation", "0.5"],
        "--validation and --test",
    ),
    "a service without a model": (["contrast", *ABOUT, "--assistant", "openai"], "--assistant-model"),
    "roles twice": (["phrases", "--name", "x", "--assistant", "demo", "--roles", "ask", "ask"], "every role once"),
    "a key in an address": (["contrast", *ABOUT, "--assistant", "http://me:word@127.0.0.1:9/v1"], "put a key into a variable"),
    "a key instead of its name": (
        ["contrast", *ABOUT, "--assistant", "http://127.0.0.1:9/v1", "--assistant-key", "sk-12345-67890"],
        "takes the name of a variable, never a key",
    ),
    "unreadable examples": (["contrast", *ABOUT, "--assistant", "demo", "--examples", "/no/file.json"], "/no/file.json"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_anything_is_asked(workspace, capsys, case):
    argv, words = BAD[case]
    _, err = make(capsys, *argv, status=2)
    assert words in err
    assert "sk-12345" not in err
    assert not (workspace / "artifacts").exists()


def test_a_killed_command_goes_on_without_asking_again(workspace, capsys, monkeypatch):
    code = "import sys; from engine.data_making.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["contrast", *ABOUT, "--count", "200", "--per-request", "5", "--concurrency", "2"]
    with ChatServer(writing(contrast), delay=0.05) as server:
        command = [sys.executable, "-c", code, "make", *arguments, "--assistant", server.url]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(lambda: server.counts.answered >= 8 or process.poll() is not None, "eight replies are out")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert 8 <= server.counts.answered < 40
        assert not (workspace / "datasets").exists()
        server.delay = 0.0
        make(capsys, *arguments, "--assistant", server.url)
        resumed = generate(workspace)
        assert sum(count - 1 for count in server.counts.asked.values()) <= 2  # those in flight at the kill
        (workspace / "undisturbed").mkdir()
        (workspace / "undisturbed/tiller.toml").touch()
        monkeypatch.setenv("TILLER_WORKSPACE", str(workspace / "undisturbed"))
        make(capsys, *arguments, "--assistant", server.url)
    assert generate(workspace / "undisturbed") == resumed


def test_a_made_set_makes_steering_vectors(workspace, capsys):
    from engine.steering.cli import main as steer

    with ChatServer(writing(contrast)) as server:
        make(capsys, "contrast", *ABOUT, *options(server, "--count", "40"))
    dataset = str(workspace / "datasets/made")
    assert steer(["vectors", "--model", "demo", "--dataset", dataset, "--behavior", "agree", "--hold-out", "6"]) == 0
    assert capsys.readouterr().out.startswith("vectors ")
    assert main(["check", dataset]) == 0


def test_a_local_model_can_be_asked(workspace, capsys):
    """The demo model writes toy sentences, never JSON: every reply is dropped under that reason, and kept as it was."""
    arguments = ["--assistant", "demo", "--count", "10", "--max-requests", "3", "--max-tokens", "24"]
    _, err = make(capsys, "queries", "--name", "toy", "--description", "animals", *arguments, status=1)
    assert "0 of 10 items from 3 requests; nothing was written" in err
    assert "reply without JSON" in err
    (segment,) = (workspace / "artifacts/making").rglob("*.jsonl")
    kept = [json.loads(line) for line in segment.read_text().splitlines()]
    assert len({record["request"] for record in kept}) == 3
    assert all(record["completion_tokens"] <= 24 for record in kept)
