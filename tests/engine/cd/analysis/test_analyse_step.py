"""`tiller cd analyse` on texts of the demo models: what it finds, keeps, draws and refuses; assistants; a kill on the way."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from chat_server import ChatServer
from waiting import until

from engine.cd.analysis.analysis import analyse
from engine.cd.analysis.findings import Trial
from engine.cd.analysis.labels import TermLabeller
from engine.cd.analysis.reading import read_set
from engine.cd.analysis.scorers import TermScorer
from engine.cd.analysis.settings import AnalyseSettings
from engine.cd.analysis.texts import deal
from engine.cd.cli import main
from engine.cd.prompts.asked import asked_prompt, demo_texts
from engine.cd.settings import TextSettings
from engine.cd.texts.decoder import Decoder, open_decoder
from engine.demo.skills.tell import SLOGAN
from engine.embeddings import EmbeddingCache, open_embedder

TILLER = Path(sys.executable).with_name("tiller")
QUICK = ("--permutations", "999", "--clusters", "3")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A workspace with texts of the demo models about the demo's prompts, and name → cell."""
    root = tmp_path_factory.mktemp("ws")
    for name in ("runs", "logs", "artifacts"):
        (root / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_WORKSPACE", str(root))
        contrast = open_decoder(TextSettings(samples=4))
        alone: dict[str, Decoder] = {
            "base": contrast.variant(rule="none", starting_weight=-1.0, comparison_weight=1.0),
            "few": contrast.variant(rule="none", max_new_tokens=12),
        }
        prompts = [asked_prompt(text) for text in demo_texts()]
        contrast.texts(prompts)
        alone["base"].texts(prompts)
        alone["few"].texts(prompts[:3])
    return root, {"contrast": contrast.key, **{name: decoder.key for name, decoder in alone.items()}}


@pytest.fixture
def ws(written, tmp_path, monkeypatch) -> Path:
    """A copy of that workspace, as the current one."""
    root = tmp_path / "ws"
    shutil.copytree(written[0], root)
    monkeypatch.setenv("TILLER_WORKSPACE", str(root))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return root


@pytest.fixture(scope="module")
def cells(written) -> dict[str, str]:
    return written[1]


def analysis_in(ws: Path) -> dict:
    [path] = ws.glob("artifacts/analyses/*/analysis.json")
    return json.loads(path.read_text())


def refused(capsys, *words: str) -> str:
    assert main(["analyse", *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    return said[-1]


def slogan(statement: str) -> bool:
    return any(word in statement for word in SLOGAN.lower().strip(".").split())


def test_the_planted_slogan_is_found_offline(ws, cells, capsys):
    assert main(["analyse", cells["contrast"][:6], cells["base"][:6], "--html"]) == 0
    said = capsys.readouterr().out
    record = analysis_in(ws)
    valid = [one for one in record["findings"] if one["adjusted"] < 0.05]
    assert [one for one in valid if one["comparison"] == "A over B" and slogan(one["statement"])]
    assert all(slogan(one["statement"]) or one["kind"] == "share" for one in valid)
    assert "✓ A over B: The text contains" in said
    assert all(len(line) <= 80 for line in said.splitlines()[:-1])
    page = next(ws.glob("artifacts/analyses/*/analysis.html")).read_text()
    assert "Zorbo" in page
    assert "<script" not in page
    assert "region 1, highest: js" in said
    names = {path.name for path in (ws / "artifacts/plots").iterdir()}
    assert {f"analysis-texts-{name}-{record['key']}.html" for name in "AB"} <= names
    assert {
        f"analysis-{kind}-{record['key']}.{suffix}" for kind in ("map", "effects", "divergence") for suffix in ("png", "csv")
    } <= names


def test_the_same_command_again_shows_what_is_there(ws, cells, capsys):
    words = ["analyse", cells["contrast"], cells["base"], *QUICK, "--clusters", "1"]
    assert main(words) == 0
    first = capsys.readouterr().out
    shutil.rmtree(ws / "artifacts/embeddings")
    assert main(words) == 0
    again = capsys.readouterr().out
    assert again.splitlines()[:-1] == first.splitlines()[:-1]
    assert ", already there:" in again.splitlines()[-1]
    assert not (ws / "artifacts/embeddings").exists(), "nothing was embedded again"


def test_one_cell_is_told_apart_by_clusters(ws, cells, capsys):
    assert main(["analyse", cells["contrast"], *QUICK, "--method", "kmeans", "--map", "tsne"]) == 0
    assert "cluster 1 over the rest" in capsys.readouterr().out
    record = analysis_in(ws)
    assert [one for one in record["findings"] if one["comparison"] == "high over low divergence" and slogan(one["statement"])]
    means = [region["divergences"][0] for region in record["regions"]]
    assert means == sorted(means, reverse=True)
    assert sum(region["sizes"][0] for region in record["regions"]) == len(record["texts"])


def test_a_self_test_finds_what_was_planted_in_one_half(ws, cells):
    assert main(["analyse", cells["contrast"], *QUICK, "--clusters", "1", "--self-test", "planted"]) == 0
    valid = [one for one in analysis_in(ws)["findings"] if one["adjusted"] < 0.05]
    assert {one["comparison"] for one in valid if "dummy" in one["statement"]} == {"B over A"}
    assert all("dummy" in one["statement"] for one in valid)


def test_a_self_test_of_what_is_plain_finds_nothing(ws, cells):
    assert main(["analyse", cells["contrast"], *QUICK, "--self-test", "plain"]) == 0
    assert not [one for one in analysis_in(ws)["findings"] if one["adjusted"] < 0.05]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--measure", "fun"], "--measure fun is no measure; choose one of kl"),
        (["--label-share", "0.6", "--select-share", "0.4"], "--label-share 0.6 and --select-share 0.4 leave no prompts"),
        (["--min-cluster-size", "9", "--max-cluster-size", "5"], "--max-cluster-size 5 is below --min-cluster-size 9"),
        (["--generated-texts", "4"], "--generated-texts 4 needs somebody who writes them; name an --assistant"),
        (["--same-start"], "--same-start is for k-means of two sets"),
        (["--permutations", "3"], "--permutations 3: input should be greater than or equal to 19"),
        (["--embedder", "nothing-of-this-name/at-all"], "nothing-of-this-name/at-all"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(ws, cells, capsys, options, sentence):
    assert sentence in refused(capsys, cells["contrast"], *options)
    assert not (ws / "artifacts/analyses").exists()


def test_cells_that_cannot_be_analysed_are_named(ws, cells, capsys):
    assert "'zzz'" in refused(capsys, "zzz")
    assert f"are one cell, {cells['base']}" in refused(capsys, cells["base"], cells["base"][:8])
    assert "answer 3 prompts, too few" in refused(capsys, cells["few"])
    assert "--self-test compares one cell" in refused(capsys, cells["base"], cells["few"], "--self-test", "plain")
    assert main(["analyse", cells["few"], *QUICK, "--unit", "text", "--clusters", "2", "--smallest-group", "2"]) == 0


class Scripted:
    """Writes labels from the texts that it is shown, texts from labels, and judges by whether a label's word occurs. It knows
    no word of its own."""

    def __call__(self, body: dict) -> str:
        question = body["messages"][-1]["content"]
        if "Group 1:" in question:
            return self._label(question)
        word = re.findall(r"the word '(\w+)'", question)[0]
        if "Write one text" in question:
            return f"plums are {word} and sweet" if "which the statement is true" in question else "plums are old and sweet"
        return "95" if re.search(rf"\b{word}\b", question.split("<answer>")[1]) else "5"

    @staticmethod
    def _label(question: str) -> str:
        groups = question.split("Group 1:\n")[1].split("Which theme")[0].split("Group 2:\n")
        ones, others = ([set(re.findall(r"\w+", line)) for line in group.splitlines() if line] for group in groups)
        known = set().union(*others) | set(re.findall(r"the word '(\w+)'", question))
        counted = Counter(word for text in ones for word in sorted(text - known))
        return f"The text has the word '{counted.most_common(1)[0][0] if counted else 'none'}'"


def assisted(server: ChatServer, cells: dict[str, str], *more: str) -> list[str]:
    return [
        "analyse", cells["contrast"], cells["base"], *QUICK, "--clusters", "1", "--assistant", server.url,
        "--assistant-model", "test-model", "--structured", "off", "--labels", "3", *more,
    ]  # fmt: skip


def test_an_assistant_writes_labels_and_judges_them(ws, cells, capsys):
    with ChatServer(Scripted()) as server:
        words = assisted(server, cells, "--generated-texts", "6", "--labels", "2", "--shown", "0")
        assert main(words) == 0
        said = capsys.readouterr().out
        asked = server.counts.requests
        (ws / "artifacts/analyses").rename(ws / "elsewhere")
        kept = next((ws / "elsewhere").glob("*/replies"))
        shutil.copytree(kept, ws / "artifacts/analyses" / kept.parent.name / "replies")
        assert main(words) == 0
        assert server.counts.requests == asked, "every reply was kept"
    record = analysis_in(ws)
    assert record == json.loads(next((ws / "elsewhere").glob("*/analysis.json")).read_text())
    valid = [one for one in record["findings"] if one["kind"] == "label" and one["adjusted"] < 0.05]
    assert valid
    assert all(not one["terms"] and re.fullmatch(r"The text has the word '\w+'", one["statement"]) for one in valid)
    assert [one["statement"] for one in record["generated"]] == [one["statement"] for one in record["findings"] if one in valid]
    assert all(one["texts"] == 12 for one in record["generated"])
    assert all(one["pearson"] < -0.9 for one in record["generated"]), "S finds what it says likelier than C does"
    assert "Generative check" in said


def test_a_judge_that_cannot_answer_is_told(ws, cells, capsys):
    answers = Scripted()
    with ChatServer(lambda body: answers(body) if "Group 1:" in body["messages"][-1]["content"] else "hm") as server:
        assert main(assisted(server, cells, "--most-judged", "16", "--shown", "0")) == 0
    assert "the judge gave no answers" in capsys.readouterr().out
    assert not analysis_in(ws)["findings"]


def test_an_analysis_killed_on_the_way_ends_as_if_it_had_not_been(ws, cells, tmp_path):
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(ws, undisturbed)
    with ChatServer(Scripted(), delay=0.01) as server:
        words = assisted(server, cells, "--concurrency", "4", "--most-judged", "16", "--shown", "0", "--labels", "1")
        command = [str(TILLER), "cd", *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: server.counts.answered > 20, "20 requests were answered", 90)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not list(ws.glob("artifacts/analyses/*/analysis.json"))
        asked = Counter(server.counts.asked)
        assert main(words) == 0
        again = Counter(server.counts.asked) - asked
        assert sum(again[question] for question in asked) <= 4 + 1, "only what was in flight is asked again"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TILLER_WORKSPACE", str(undisturbed))
            assert main(words) == 0
    assert analysis_in(ws) == analysis_in(undisturbed)


@pytest.mark.slow
def test_of_a_hundred_comparisons_of_the_tuned_model_with_itself_at_most_ten_find_something(ws):
    """Texts of two seeds, dealt to two sets anew each time: whatever is found is false (issue, "Done when")."""
    tuned = open_decoder(TextSettings(rule="none"))
    prompts = [asked_prompt(text) for text in demo_texts()]
    for decoder in (tuned, tuned.variant(seed=1)):
        decoder.texts(prompts)
    settings = AnalyseSettings(cell=tuned.key, clusters=4, permutations=1999)
    sets = [read_set(tuned.workspace, key, 0, "js", 1) for key in (tuned.key, tuned.variant(seed=1).key)]
    cache = EmbeddingCache(tuned.workspace, open_embedder(settings))
    found = 0
    for trial in range(100):
        draw = random.Random(trial)
        mixed = []
        for prompt in sets[0]:
            both = [*sets[0][prompt], *sets[1][prompt]]
            draw.shuffle(both)
            mixed += [replace(text, of=place % 2, sample=place // 2) for place, text in enumerate(both)]
        texts = deal(("A", "B"), mixed, "prompt", None, settings.label_share, settings.select_share, trial)
        trial_of = Trial(texts, TermLabeller(settings.term_length, 2), TermScorer(), settings)
        analysis = analyse(trial_of, cache.embed([text.text for text in texts.all]))
        assert len(analysis.findings) >= 5
        found += any(one.validated(0.05) for one in analysis.findings)
    assert found <= 10
