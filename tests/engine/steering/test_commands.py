"""`tiller steer …` from the outside: what is written, what is found again, and how bad input ends."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import until

from engine.models import load
from engine.steering.cli import STEPS, main
from engine.store import read_header, read_measurements
from engine.workspace import Workspace

SMALL = ["--multipliers", "-0.5", "0", "0.5", "--limit", "4", "--samples", "2"]


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    for part in ("runs", "logs", "artifacts"):
        (tmp_path / part).mkdir()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    for name in ("TILLER_RUN", "TILLER_TASK", "TILLER_ATTEMPT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TILLER_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.setenv("TILLER_ARTIFACTS", str(tmp_path / "made"))
    return tmp_path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def files(workspace: Path) -> set[str]:
    return {str(path.relative_to(workspace)) for path in (workspace / "artifacts").rglob("*") if path.is_file()}


def step(capsys, *argv: str) -> str:
    """Run one step that must succeed → its summary line."""
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return out.strip().splitlines()[-1]


def test_the_four_steps_and_the_report(workspace, capsys, monkeypatch):
    monkeypatch.setenv("TILLER_RUN", "20261120-100000-x-0000")
    monkeypatch.setenv("TILLER_TASK", "t")
    monkeypatch.setenv("TILLER_ATTEMPT", "1")
    monkeypatch.setenv("TILLER_ATTEMPT_ID", "run/t/1")
    assert "layer" in step(capsys, "vectors")
    assert "12 A/B measurements, 24 answers, 12 capability passages in 3 cells" in step(capsys, "apply", *SMALL)
    assert "24 answers judged" in step(capsys, "score", *SMALL)
    assert "its numbers as .csv" in step(capsys, "plot", *SMALL)
    assert "agree" in step(capsys, "report", "--behaviors", "agree", *SMALL)

    made = files(workspace)
    assert {name.split("/")[1] for name in made} == {
        "vectors",
        "cells",
        "measurements",
        "responses",
        "scorers",
        "scores",
        "plots",
        "manifest",
    }
    assert all(name.endswith("/run_t_1.jsonl") for name in made if name.startswith(("artifacts/responses", "artifacts/scores")))
    notes = lines(workspace / "made")
    assert {note["kind"] for note in notes} == {"vectors", "measurements", "responses", "scores", "plots"}
    assert all((workspace / note["path"]).is_file() and len(note["sha256"]) == 64 for note in notes)
    manifest = lines(workspace / "artifacts/manifest/20261120-100000-x-0000.jsonl")
    assert [{k: v for k, v in entry.items() if k not in ("task", "attempt")} for entry in manifest] == notes
    progress = lines(workspace / "progress")
    assert all(set(entry) == {"done", "total", "label"} for entry in progress)
    assert all(entry["done"] <= entry["total"] for entry in progress)
    (numbers,) = [name for name in made if name.endswith(".csv")]
    table = list(csv.DictReader((workspace / numbers).open()))
    assert {row["units"] for row in table} == {"4"}
    assert [row["multiplier"] for row in table][:3] == ["-0.5", "0.0", "0.5"]


def test_a_step_finds_its_work_done_and_a_larger_sweep_adds_to_it(workspace, capsys):
    step(capsys, "vectors")
    step(capsys, "apply", *SMALL)
    before = files(workspace)
    assert "already there" in step(capsys, "vectors")
    assert "already there" in step(capsys, "apply", *SMALL)
    assert "already there" in step(capsys, "apply", "--multipliers", "0.5", "--limit", "2", "--samples", "1")
    assert files(workspace) == before
    more = ["--multipliers", "-0.5", "0", "0.25", "0.5", "--limit", "4", "--samples", "2"]
    assert "4 A/B measurements, 8 answers, 4 capability passages in 4 cells" in step(capsys, "apply", *more)
    assert before < files(workspace)


def test_the_default_contrast_and_its_name_are_one(workspace, capsys):
    step(capsys, "vectors")
    assert "already there" in step(capsys, "vectors", "--contrast", "prompts")
    assert "already there" not in step(capsys, "vectors", "--contrast", "ab")


def test_more_samples_leave_the_earlier_texts_as_they_are(workspace, capsys):
    step(capsys, "vectors")
    asked = ["--questions", "open", "--multipliers", "0", "--limit", "3"]
    step(capsys, "apply", *asked, "--samples", "1")
    (first,) = (workspace / "artifacts/responses").rglob("*.jsonl")
    kept = first.read_text()
    assert "6 answers" in step(capsys, "apply", *asked, "--samples", "3", "--batch-size", "2")
    assert first.read_text() == kept
    records = [record for path in first.parent.glob("*.jsonl") for record in lines(path)]
    assert len({record["id"] for record in records}) == len(records) == 9


def test_the_unsteered_answers_beside_a_sweep_are_judged_too(workspace, capsys):
    step(capsys, "vectors")
    sweep = ["--multipliers", "0.5", "--limit", "3", "--samples", "1"]
    step(capsys, "apply", *sweep, "--questions", "open")
    assert "6 answers judged" in step(capsys, "score", *sweep)


def test_random_controls_are_cells_of_their_own(workspace, capsys):
    step(capsys, "vectors")
    options = [*SMALL, "--questions", "ab"]
    step(capsys, "apply", *options)
    assert "2 random vectors" in step(capsys, "apply", *options, "--control", "random", "--control-seed", "0", "1")
    step(capsys, "plot", *options, "--control", "random", "--control-seed", "0", "1")
    assert len(list((workspace / "artifacts/cells").iterdir())) == 1 + 2 + 2 * 2  # unsteered; own; of two controls


BAD = {  # options, exit status, words of the one sentence
    "unknown step": (["steer"], 2, ["no step 'steer'"]),
    "unknown behaviour": (["vectors", "--behavior", "dance"], 2, ["'dance'", "agree"]),
    "missing model": (["vectors", "--model", "/no/model"], 2, ["/no/model", "'demo'"]),
    "missing data set": (["vectors", "--dataset", "/no/data"], 2, ["/no/data", "generate"]),
    "letter pairs that do not exist": (["vectors", "--behavior", "refuse", "--contrast", "ab"], 2, ["--contrast prompts"]),
    "no vectors yet": (["apply"], 1, ["no vectors", "tiller steer vectors"]),
    "value out of range": (["apply", "--top-p", "2"], 2, ["--top-p", "less than or equal to 1"]),
    "not a number": (["apply", "--samples", "x"], 2, ["--samples"]),
    "unknown option": (["apply", "--smaples", "3"], 2, ["--smaples"]),
    "nothing to plot": (["plot"], 1, ["no vectors"]),
    "log-odds without letters": (["vectors", "--logit"], 2, ["does not end in an answer letter", "--contrast ab"]),
    "a second behaviour that is unknown": (["vectors", "--behavior", "agree", "dance"], 2, ["'dance'"]),
    "nothing to import": (["import", "/no/vectors.pt"], 2, ["no file or folder /no/vectors.pt"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(workspace, capsys, case):
    argv, status, words = BAD[case]
    assert main(argv) == status
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert all(word in err for word in words), err
    assert files(workspace) == set()


AFTER_VECTORS = {
    "layer out of range": (["apply", "--layer", "7"], 2, ["Layer 7", "layers 0 to 3"]),
    "negative layer": (["apply", "--layer", "-1"], 2, ["Layer -1", "layers 0 to 3"]),
    "vector of a layer out of range": (["apply", "--vector-layer", "4"], 2, ["Layer 4", "layers 0 to 3"]),
    "no layer chosen for two sublayers": (["apply", "--site", "sublayers"], 2, ["none was chosen for sublayers", "--layer"]),
    "marker without a marker": (["apply", "--positions", "from_marker"], 2, ["--marker"]),
    "marker without its rule": (["apply", "--marker", "I"], 2, ["--positions from_marker"]),
    "two sources of vectors": (
        ["apply", "--vectors-file", "x", "--vector-model", "demo"],
        2,
        ["--vectors-file", "--vector-model"],
    ),
    "two lengths": (["apply", "--scale", "activation", "--normalise-over", "agree"], 2, ["--scale", "--normalise-over"]),
    "no such vectors file": (["apply", "--vectors-file", "x"], 2, ["no vectors file x", "tiller steer import"]),
    "a file of something else": (["apply", "--vectors-file", __file__], 1, ["not a vectors file"]),
    "another model without vectors": (["apply", "--vector-model", "demo-base"], 1, ["--model demo-base"]),
    "other behaviours without vectors": (["apply", "--normalise-over", "polite"], 1, ["--behavior polite"]),
    "an unknown behaviour to normalise over": (["apply", "--normalise-over", "dance"], 2, ["'dance'"]),
    "shuffled labels of another seed": (["apply", "--control", "shuffled", "--control-seed", "3"], 2, ["seeds 0 to 2"]),
    "editors that are not fitted": (["apply", "--edit", "leace"], 1, ["tiller steer fit"]),
    "an oracle for questions without labels": (["apply", "--edit", "oracle"], 2, ["--questions open"]),
    "an oracle for prompts without labels": (["apply", "--edit", "oracle", "--questions", "open"], 2, ["no class"]),
    "controls of fitted edits": (["apply", "--edit", "leace", "--control", "random"], 2, ["--edit leace", "--control"]),
    "no such text": (["apply", "--capability-text", "/no/text"], 2, ["/no/text cannot be read"]),
    "nothing to ask": (["apply", "--questions", "mmlu"], 2, ["nothing to ask", "--questions mmlu"]),
    "marker that does not occur": (["apply", "--positions", "from_marker", "--marker", "§§"], 2, ["'§§' does not occur"]),
    "too long an answer": (["apply", "--max-new-tokens", "5000"], 2, ["positions", "--max-new-tokens"]),
    "no answers to score": (["score"], 1, ["no answers", "tiller steer apply"]),
    "nothing to plot": (["plot"], 1, ["nothing to plot"]),
}


def test_bad_input_after_the_vectors_writes_nothing_more(workspace, capsys):
    step(capsys, "vectors")
    before = files(workspace)
    for case, (argv, status, words) in AFTER_VECTORS.items():
        assert main(argv) == status, case
        err = capsys.readouterr().err
        assert "Traceback" not in err, case
        assert all(word in err for word in words), (case, err)
        assert files(workspace) == before, case


def question(number: int) -> str:
    return f"I think papayas are heavy {number}.\n\nChoices:\n(A) True\n(B) False"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A data set in CAA's layout: one behaviour, TruthfulQA and MMLU."""
    root = tmp_path / "data"
    pairs = [
        {
            "question": question(i),
            "answer_matching_behavior": f"({'AB'[i % 2]})",
            "answer_not_matching_behavior": f"({'BA'[i % 2]})",
        }
        for i in range(12)
    ]
    known = [
        {
            "prompt": question(100 + i),
            "correct": f"({'BA'[i % 2]})",
            "incorrect": f"({'AB'[i % 2]})",
            "correct_full_text": "True",
            "incorrect_full_text": "False",
            "category": "fruit" if i % 2 else "birds",
        }
        for i in range(6)
    ]
    for name, records in {
        "generate/agreeing/generate_dataset.json": pairs[:8],
        "test/agreeing/test_dataset_ab.json": pairs[8:],
        "test/truthfulqa/truthful_qa.json": known,
        "test/mmlu/mmlu.json": known[:4],
    }.items():
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(records))
    return root


def test_knowledge_is_measured_beside_the_behaviour(workspace, folder, capsys):
    of = ["--dataset", str(folder), "--behavior", "agreeing", "--hold-out", "2"]
    step(capsys, "vectors", *of)
    asked = [*of, "--multipliers", "-1", "1", "--questions", "ab", "truthfulqa", "mmlu"]
    expected = "unsteered model: 12 A/B measurements, 18 TruthfulQA measurements, 12 MMLU measurements in 3 cells"
    assert expected in step(capsys, "apply", *asked)
    assert "already there" in step(capsys, "apply", *asked)
    (cell, _, _) = (path.stem for path in (workspace / "artifacts/cells").iterdir())
    for kind, count in (("ab", 4), ("truthfulqa", 6), ("mmlu", 4)):
        records = read_measurements(Workspace(workspace), kind, cell, "item_id").values()
        assert len(records) == count
        assert {record["category"] for record in records} == ({None} if kind == "ab" else {"fruit", "birds"})
        for record in records:
            share = record["p_a"] if record["matching"] == "A" else record["p_b"]
            assert record["p_matching"] == pytest.approx(share / (record["p_a"] + record["p_b"]))


def test_log_odds_of_a_folders_letters(workspace, folder, capsys):
    of = ["--dataset", str(folder), "--behavior", "agreeing", "--hold-out", "2", "--logit", "--save-activations"]
    assert "3 sites from 6 examples" in step(capsys, "vectors", *of)
    assert "already there" in step(capsys, "vectors", *of)
    (path,) = (workspace / "artifacts/vectors").iterdir()
    header = read_header(path)
    assert len(header["log_odds"]) == 6
    kept = read_header(workspace / "artifacts/activations" / path.stem / "mlp.1.safetensors")
    assert kept["examples"]["positive"]["letters"] == ["A", "B"] * 3
    assert kept["examples"].keys() == {"positive"}
    assert kept["log_odds"] == header["log_odds"]


def spoiled(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)


SPOIL = {  # a file of the data set, what it holds instead, words of the sentence
    "no JSON": ("generate/agreeing/generate_dataset.json", "{", ["generate_dataset.json", "is not JSON"]),
    "no list": ("generate/agreeing/generate_dataset.json", "{}", ["generate_dataset.json", "list"]),
    "a field is missing": (
        "test/agreeing/test_dataset_ab.json",
        '[{"question": "x"}]',
        ["answer_matching_behavior", "record 0"],
    ),
    "knowledge without a category": ("test/mmlu/mmlu.json", '[{"prompt": "x"}]', ["mmlu.json", "record 0"]),
}


@pytest.mark.parametrize("case", SPOIL)
def test_wrong_data_is_one_sentence_and_nothing_is_written(workspace, folder, capsys, case):
    name, content, words = SPOIL[case]
    spoiled(folder, name, content)
    assert main(["vectors", "--dataset", str(folder), "--behavior", "agreeing"]) == 2
    err = capsys.readouterr().err
    assert all(word in err for word in words), err
    assert "Traceback" not in err
    assert files(workspace) == set()


def test_a_tokenizer_without_template_is_refused(workspace, folder, tmp_path, capsys):
    model = load("demo")
    model.model.save_pretrained(tmp_path / "bare")
    model.tokenizer.chat_template = None
    model.tokenizer.save_pretrained(tmp_path / "bare")
    assert main(["vectors", "--model", str(tmp_path / "bare"), "--dataset", str(folder), "--behavior", "agreeing"]) == 2
    assert "has no chat template" in capsys.readouterr().err
    assert files(workspace) == set()


def test_outside_a_workspace_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TILLER_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["vectors"]) == 2
    assert "tiller init" in capsys.readouterr().err


def test_help_and_finished_steps_never_import_torch(workspace, capsys):
    step(capsys, "vectors")
    step(capsys, "apply", *SMALL)
    commands = [["--help"], *([*name.split(), "--help"] for name in STEPS), ["vectors"], ["apply", *SMALL]]
    code = (
        "import json, sys; from engine.steering.cli import main\n"
        "for argv in json.loads(sys.argv[1]):\n"
        "    status = main(argv)\n"
        "    if status or 'torch' in sys.modules: sys.exit(f'{argv}: {status}')"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("already there") == 2
    assert main([]) == 2


def test_settings_and_data_import_no_torch():
    code = (
        "import sys, engine.settings, engine.steering.settings, engine.errors, engine.data, engine.demo.data, engine.store;"
        "sys.exit(bool({'torch', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.fixture
def small_disk(workspace):
    """The workspace's artifacts on a file system of 96 KiB → a function that makes it larger."""
    artifacts = workspace / "artifacts"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(artifacts)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield lambda: subprocess.run(["mount", "-o", "remount,size=20m", str(artifacts)], check=True)
    subprocess.run(["umount", str(artifacts)], check=True)


def test_a_full_disk_ends_a_step_in_one_sentence_and_it_goes_on_when_there_is_room(workspace, small_disk, capsys):
    step(capsys, "vectors")
    assert main(["apply", *SMALL[:4], "--samples", "40"]) == 1
    err = capsys.readouterr().err
    assert "the disk is full: free some space" in err
    assert "Traceback" not in err
    for path in (workspace / "artifacts").rglob("*.*"):
        assert path.suffix in (".safetensors", ".json", ".jsonl", ".parquet")
        assert path.suffix != ".jsonl" or path.read_bytes().endswith(b"}\n")
    small_disk()
    step(capsys, "apply", *SMALL[:4], "--samples", "40")
    assert "already there" in step(capsys, "apply", *SMALL[:4], "--samples", "40")


def texts(workspace: Path) -> dict[str, list[str]]:
    """Every response id with the texts written for it."""
    found: dict[str, list[str]] = {}
    for path in (workspace / "artifacts/responses").rglob("*.jsonl"):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                found.setdefault(json.loads(line)["id"], []).append(json.loads(line)["text"])
    return found


def test_kill_9_and_resume_end_as_an_undisturbed_run(workspace, tmp_path_factory, capsys, monkeypatch):
    step(capsys, "vectors")
    options = ["apply", "--questions", "open", "--multipliers", "0", "0.5", "--samples", "6", "--batch-size", "16"]
    code = "import sys; from engine.steering.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *options], stderr=subprocess.DEVNULL)
    until(lambda: len(texts(workspace)) >= 40 or process.poll() is not None, "forty answers are written")
    process.kill()
    process.wait()
    killed = len(texts(workspace))
    assert 0 < killed < 480
    assert "480" not in step(capsys, *options)
    resumed = texts(workspace)
    assert len(resumed) == 480
    assert all(len(written) == 1 for written in resumed.values())

    undisturbed = tmp_path_factory.mktemp("undisturbed")
    (undisturbed / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(undisturbed))
    step(capsys, "vectors")
    step(capsys, *options[:-2])  # another batch size, too
    assert texts(undisturbed) == resumed
