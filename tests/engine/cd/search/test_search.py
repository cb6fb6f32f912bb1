"""`tiller cd search` with an assistant: a scripted server asked over HTTP, the demo models, and what is kept of both."""

from __future__ import annotations

import csv
import json
import random
import re
from collections import Counter
from statistics import fmean, pstdev

import pytest
from chat_server import ChatServer
from prompting_assistant import SEEDS, SMALL, scripted

from engine.cd.alone import alone
from engine.cd.prompts.asked import asked_prompt
from engine.cd.settings import TextSettings
from engine.cd.texts.decoder import open_decoder


def asked_for_prompts(body) -> bool:
    return "JSON object" in body["messages"][-1]["content"]


def seeds(*more: str) -> list[str]:
    return ["--prompt", *SEEDS, *SMALL, *more]


RULE = """id = "first-word"
version = 1
kind = "rule"
about = "Whether the first word has an e."
rule.regex = "^\\\\S*e"
"""


def cycles(workspace) -> list[dict[str, str]]:
    (path,) = (workspace / "artifacts/searches").glob("*/cycles.tsv")
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def responses(workspace) -> list[dict]:
    lines = [line for path in (workspace / "artifacts/responses").rglob("*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_divergences_belong_to_their_prompts_whatever_their_order(workspace, search, bank, tmp_path, monkeypatch):
    """§7.3-3: the original zipped sorted divergences with unsorted prompts. Here each is compared with the prompt's own."""
    with ChatServer(scripted) as server:
        search(*seeds("--assistant", server.url, "--cycles", "2"))
    found = bank()
    assert len({entry["divergence"] for entry in found}) > 8
    assert [entry["divergence"] for entry in found] == sorted((entry["divergence"] for entry in found), reverse=True)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(alone))
    decoder = open_decoder(TextSettings(samples=1, max_new_tokens=12))
    for entry in random.Random(0).sample(found, len(found)):
        ((text,),) = decoder.texts([asked_prompt(entry["prompt"])]).values()
        assert entry["divergence"] == pytest.approx(text.mean("kl"), abs=1e-4)
        assert entry["response"] == text.text
    assert not (workspace / "artifacts/embeddings").exists()  # diversity has no weight, so nothing embeds


def test_a_bank_holds_prompts_given_and_found_each_once(workspace, search, bank):
    with ChatServer(scripted) as server:
        out, err = search(*seeds("--assistant", server.url, "--cycles", "2", "--repeats", "2"))
    found = bank()
    assert {entry["prompt"] for entry in found if entry["cycle"] == 0} == set(SEEDS)
    assert {(entry["cycle"], entry["repeat"]) for entry in found} == {(0, 0), (1, 0), (2, 0), (1, 1), (2, 1)}
    assert len({entry["prompt"] for entry in found}) == len(found)
    written = Counter(record["prompt"] for record in responses(workspace))
    assert {record["cell"] for record in responses(workspace)} != {open_decoder(TextSettings(max_new_tokens=12)).key}
    assert set(written.values()) == {1}  # prompts given are scored once, though both repeats begin with them
    assert f"{len(found)} prompts in 4 cycles; highest kl {found[0]['divergence']:.3f}" in out
    assert "repeat 2, cycle 2" in err


def test_statistics_of_a_cycle_stand_under_their_own_names(workspace, search, bank):
    with ChatServer(scripted) as server:
        search("--prompt", *SEEDS, *SMALL[:-2], "--assistant", server.url, "--cycles", "2", "--shown", "4")
    rows = cycles(workspace)
    assert [(row["repeat"], row["attempt"], row["cycle"]) for row in rows] == [("1", str(n), str(n)) for n in range(3)]
    for row in rows:
        values = [entry["divergence"] for entry in bank() if entry["cycle"] <= int(row["cycle"])]
        expected = {"mean": fmean(values), "sd": pstdev(values), "min": min(values), "max": max(values)}
        assert {name: float(row[f"divergence_full_{name}"]) for name in expected} == pytest.approx(expected, abs=1e-5)
        for part in ("divergence_subsample", "diversity_full", "diversity_subsample"):
            low, mean, high = (float(row[f"{part}_{name}"]) for name in ("min", "mean", "max"))
            assert low < mean < high
    assert float(rows[-1]["divergence_subsample_max"]) <= float(rows[-1]["divergence_full_max"])


def shown_lines(body) -> list[str]:
    return [line for line in body["messages"][-1]["content"].splitlines() if "input text " in line]


def test_what_the_assistant_is_shown(search):
    with ChatServer(scripted, bodies=[]) as server:
        options = ("--assistant", server.url, "--cycles", "1", "--repeats", "1", "--shown", "3", "--proposals", "4")
        search(*seeds(*options, "--selection-temperature", "0"))
        search(*seeds(*options, "--selection-temperature", "0", "--preset", "no-context-divergences"))
        search(*seeds(*options, "--selection-temperature", "0", "--shown-divergences", "random"))
        real, none, chance = server.bodies or [{}] * 3
    pattern = r"divergence (\d): (\d+\.\d{3}), input text (\d): (.+)"
    lines = [re.fullmatch(pattern, line) for line in shown_lines(real)]
    assert all(lines)
    assert [line[1] for line in lines if line] == [line[3] for line in lines if line] == ["0", "1", "2"]
    values = [float(line[2]) for line in lines if line]
    assert values == sorted(values, reverse=True)
    assert (values[0], values[-1]) == (10.0, 0.0)
    prompts = [line[4] for line in lines if line]
    assert "Write 4 new prompts" in real["messages"][-1]["content"]
    assert "divergence, from 0 to 10" in real["messages"][0]["content"]
    assert sorted(shown_lines(none)) == sorted(f"input text {i}: {prompt}" for i, prompt in enumerate(prompts))
    assert "divergence" not in none["messages"][0]["content"].lower()
    random_lines = [re.fullmatch(pattern, line) for line in shown_lines(chance)]
    assert {line[4] for line in random_lines if line} == set(prompts)
    assert [line[2] for line in random_lines if line] != [f"{value:.3f}" for value in values]


def test_a_bank_without_prompts_begins_with_the_request_alone(search, bank, workspace):
    (workspace / "mine.toml").write_text('system = "S"\nwith_examples = "E"\nrequest = "R {count} JSON object"\n')
    with ChatServer(scripted, bodies=[]) as server:
        search("--assistant", server.url, "--cycles", "2", "--wording", "mine.toml", *SMALL)
        first, second = server.bodies or [{}] * 2
    assert [message["content"] for message in first["messages"]] == ["S", "R 7 JSON object"]
    assert second["messages"][0]["content"] == "S\nE"
    assert {entry["cycle"] for entry in bank()} == {1, 2}


def test_a_reply_that_cannot_be_read_is_mended_by_the_assistant(search, bank):
    """§7.3-6: the original threw the mended object away."""

    def careless(body) -> str:
        if "mended where it is broken" in body["messages"][-1]["content"]:
            assert body["temperature"] == 0
            return '```json\n{"prompt 1": "Tell me about {braces}", "Prompt": "What is left?"}\n```'
        return '{"prompt 1": "Tell me about {braces}, "Prompt": What is left?'

    with ChatServer(careless) as server:
        search(*seeds("--assistant", server.url, "--cycles", "1"))
    assert {entry["prompt"] for entry in bank() if entry["cycle"]} == {"Tell me about {braces}", "What is left?"}


def test_proposals_that_cannot_be_asked_are_dropped_with_their_reason(search, bank):
    asked = {
        "prompt 1": "trains " * 600,
        "prompt 2": "Tell me<|end|> more.",
        "prompt 3": "What is rain?",
        "prompt 4": "What is rain?",
    }
    with ChatServer(lambda _: json.dumps(asked)) as server:
        _, err = search(*seeds("--assistant", server.url, "--cycles", "1"))
    assert [entry["prompt"] for entry in bank() if entry["cycle"]] == ["What is rain?"]
    assert "1 kept, 1 too long, 1 control tokens, 1 proposed twice" in err


def test_proposals_are_cut_as_prompts_given_are(search, bank):
    with ChatServer(lambda _: json.dumps({"prompt 1": "What do you know about barges, a kind of vehicle?"})) as server:
        search(*seeds("--assistant", server.url, "--cycles", "1", "--prompt-tokens", "4"))
    assert [entry["prompt"] for entry in bank() if entry["cycle"]] == ["What do you know"]
    assert all(len(entry["prompt"].split()) <= 4 for entry in bank())


def test_hypotheses_come_first_and_are_shown(search, bank):
    def supposing(body) -> str:
        assert "First write up to three hypotheses" in body["messages"][-1]["content"]
        return json.dumps(
            {"hypothesis 1": "They differ on\x1b[31m tools.", "prompt 1": "Tell me about hinges, a kind of tool."}
        )

    with ChatServer(supposing) as server:
        search(*seeds("--assistant", server.url, "--cycles", "1", "--wording", "hypotheses"))
    assert [entry["prompt"] for entry in bank() if entry["cycle"]] == ["Tell me about hinges, a kind of tool."]
    out, _ = search("show")
    assert "What the assistant supposed in repeat 1, cycle 1:\n- They differ on\\x1b[31m tools.\n" in out


def test_lines_are_prompts_only_where_that_is_allowed(search, bank):
    with ChatServer(lambda _: "Of course:\n1. Tell me about ships.\n2. Tell me about hens.") as server:
        options = ("--assistant", server.url, "--cycles", "1", "--max-failed-cycles", "1")
        search(*seeds(*options), status=1)
        (out, _), again = search(*seeds(*options, "--newline-fallback", "--proposals", "2")), server.counts.requests
    assert "7 prompts in 1 cycle;" in out
    assert again == 4  # twice a reply, twice the attempt to have it mended


def test_cycles_without_anything_new_end_the_search_and_keep_what_there_is(search, bank):
    with ChatServer(lambda _: json.dumps({"prompt 1": SEEDS[0], "prompt 2": " "})) as server:
        options = seeds("--assistant", server.url, "--cycles", "3", "--max-failed-cycles", "2")
        _, err = search(*options, status=1)
        assert "found nothing in 2 cycles in a row" in err
        assert "1 known" in err
        assert {entry["prompt"] for entry in bank()} == set(SEEDS)
        asked = server.counts.requests
        _, again = search(*options, status=1)
        assert again.splitlines()[-1] == err.splitlines()[-1]
        assert server.counts.requests == asked
        search(*options, "--max-failed-cycles", "3", status=1)
        assert server.counts.requests > asked


def test_an_assistant_that_is_away_stops_the_search_and_counts_no_failure(search, workspace):
    with ChatServer(scripted, faults=1.0, kinds=["500"]) as server:
        options = seeds("--assistant", server.url, "--cycles", "1", "--deadline", "1", "--max-failed-cycles", "1")
        _, err = search(*options, status=1)
        assert "1 of 1 requests were not answered" in err
        assert [row["failure"] for row in cycles(workspace)] == [""]
        server.faults = 0.0
        search(*options)


def test_the_criterion_is_asked_kept_and_may_be_required(search, bank):
    def judging(body) -> str:
        if asked_for_prompts(body):
            return scripted(body)
        assert body["messages"][0]["content"] == "Is it about an animal?"
        return "Yes." if "animal" in body["messages"][-1]["content"].partition("\n")[0] else "It is not."

    with ChatServer(judging) as server:
        options = ("--assistant", server.url, "--cycles", "3", "--criterion", "Is it about an animal?")
        _, err = search(*seeds(*options, "--require-criterion", "--criterion-weight", "1"))
    found = [entry for entry in bank() if entry["cycle"]]
    assert found
    assert all("animal" in entry["prompt"] and entry["criterion"] == 1 for entry in found)
    given = {entry["prompt"]: entry["criterion"] for entry in bank() if not entry["cycle"]}
    assert given == dict.fromkeys(SEEDS, 1)  # by being given
    assert "criterion not met" in err
    assert "say neither yes nor no; they count as no" in err


def test_a_rubric_may_judge_instead(search, bank, workspace):
    (workspace / "first-word.toml").write_text(RULE)
    with ChatServer(scripted) as server:
        search(*seeds("--assistant", server.url, "--cycles", "2", "--criterion-rubric", "first-word.toml", "--judge", "rule"))
    judged = {entry["response"]: entry["criterion"] for entry in bank() if entry["cycle"]}
    assert judged == {response: float("e" in response.split()[0]) for response in judged}
    assert set(judged.values()) == {0.0, 1.0}


def test_responses_of_one_model_alone_are_its_likeliest_texts(search, bank, workspace):
    with ChatServer(scripted) as server:
        search(*seeds("--assistant", server.url, "--cycles", "1", "--response-from", "comparison"))
    settings = TextSettings(rule="none", starting_weight=0, comparison_weight=1, temperature=0, samples=1, max_new_tokens=12)
    decoder = open_decoder(settings)
    for entry in bank():
        ((text,),) = decoder.texts([asked_prompt(entry["prompt"])]).values()
        assert entry["response"] == text.text


def test_a_search_that_is_done_asks_and_loads_nothing(search):
    with ChatServer(scripted) as server:
        options = seeds("--assistant", server.url, "--cycles", "1")
        first, _ = search(*options)
        asked = server.counts.requests
        second, err = search(*options)
    assert (server.counts.requests, err) == (asked, "")
    assert second == first.replace(": ", ": already there, ", 1)


def test_two_commands_do_not_write_one_bank_at_once(search, workspace, bank):
    """Each would build on what it heard itself, and what they wrote together would be no search at all."""
    with ChatServer(scripted) as server:
        options = seeds("--assistant", server.url, "--cycles", "1")
        search(*options)
        (folder,) = (workspace / "artifacts/searches").iterdir()
        before = bank()
        with alone(folder, "it"):
            _, err = search(*options, "--repeats", "2", status=1)
        assert f"Another command is at work on search {folder.name}" in err
        assert bank() == before
        search(*options, "--repeats", "2")
        assert len(bank()) > len(before)


def test_a_repeat_takes_nothing_that_an_earlier_one_found(search, bank):
    with ChatServer(lambda _: json.dumps({"prompt 1": "What is rain?"})) as server:
        options = ("--assistant", server.url, "--cycles", "1", "--repeats", "2", "--max-failed-cycles", "1")
        for extra in ((), ("--no-require-unique",)):
            _, err = search(*seeds(*options, *extra), status=1)
            assert "repeat 1, cycle 1: 1 kept" in err
            assert "repeat 2, cycle 1: nothing was kept: all proposals were dropped (1 known)" in err
