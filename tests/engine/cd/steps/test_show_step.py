"""`tiller cd show`: sorted and coloured texts, pages, tables, cells side by side; only records are read."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest

from engine.cd.cli import main
from engine.cd.texts.records import read_texts
from engine.workspace import Workspace

ASK = ["--prompt", "Tell me about plums, a kind of food.", "Tell me about owls, a kind of animal.", "--samples", "2"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """Two cells, written once: views change nothing."""
    root = tmp_path_factory.mktemp("ws")
    (root / "tiller.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_WORKSPACE", str(root))
        assert main(["decode", *ASK, "--measure-prompt"]) == 0
        assert main(["decode", *ASK, "--rule", "none"]) == 0
    return Workspace(root)


@pytest.fixture(autouse=True)
def inside(workspace, monkeypatch):
    monkeypatch.setenv("TILLER_WORKSPACE", str(workspace.root))
    for name in ("TILLER_RUN", "TILLER_ARTIFACTS", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cells(workspace) -> dict[bool, str]:
    """Whether its prompts are measured → the cell."""
    keys = [path.name for path in (workspace.artifacts / "responses").iterdir()]
    return {next(iter(read_texts(workspace, key).values())).prompt_numbers is not None: key for key in keys}


def shown(capsys, *words: str) -> str:
    assert main(["show", *words]) == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert max(map(len, out.splitlines()[:-1])) <= 80  # the last line is the summary
    return out


def test_texts_are_sorted_by_their_own_means(capsys, workspace, cells):
    out = shown(capsys, cells[True][:6])
    means = [float(line.split()[1].rstrip(",")) for line in out.splitlines() if line.startswith("kl ") and "perplexity" in line]
    assert len(means) == 4
    assert means == sorted(means, reverse=True)
    assert set(means) == {round(text.mean("kl"), 5) for text in read_texts(workspace, cells[True]).values()}


def test_only_the_first_are_shown_and_that_is_said(capsys, cells):
    out = shown(capsys, cells[True], "--top", "1", "--sort", "prompt")
    assert "1 of 4 texts, prompts, highest mean first." in out
    assert out.count("▸") == 1


def test_prompts_have_their_own_means(capsys, workspace, cells):
    out = shown(capsys, cells[True])
    texts = read_texts(workspace, cells[True]).values()
    for word in ("plums", "owls"):
        row = next(line for line in out.splitlines() if line.startswith(f"Tell me about {word}") and "▸" not in line)
        values = [text.mean("kl") for text in texts if word in text.prompt]
        assert f"{sum(values) / 2:.4f}" in row


def test_the_prompts_region_is_coloured_where_it_was_measured(capsys, cells):
    out = shown(capsys, cells[True], "--region", "prompt", "--measure", "js")
    assert "<|user|> Tell me about plums, a kind of «food».<|end|><|assistant|> ▸" in out
    assert main(["show", cells[False], "--region", "prompt"]) == 2
    assert "--measure-prompt" in capsys.readouterr().err


def test_cells_are_set_side_by_side(capsys, cells):
    out = shown(capsys)
    assert "S − C logprob" in out
    assert "S alone" in out
    rows = [line for line in out.splitlines() if line.startswith(tuple(key[:8] for key in cells.values())) and "–" in line]
    assert len(rows) == 2
    assert all("4" in row.split() for row in rows)


def test_the_page_tells_numbers_of_both_models_and_needs_no_script(capsys, workspace, cells):
    line = shown(capsys, cells[True], "--html").splitlines()[-1]
    page = (workspace.root / line.split("; ")[-1]).read_text()
    assert "S demo: " in page
    assert "C demo-base: " in page
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_the_published_columns_hold_every_text(capsys, workspace, cells, tmp_path):
    path = tmp_path / "out.csv"
    shown(capsys, cells[True], "--csv", str(path), "--top", "1")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    texts = list(read_texts(workspace, cells[True]).values())
    assert list(rows[0])[1:] == [
        "divergence",
        "decoding",
        "starting_model_perplexity",
        "comparison_model_perplexity",
        "all_token_divergences",
    ]
    assert [row["decoding"] for row in rows] == [f"{text.prompt}|{text.text}" for text in texts]
    assert float(rows[0]["divergence"]) == pytest.approx(texts[0].mean("kl"), abs=1e-5)


def test_vocabulary_is_told_as_text_and_sums_are_right(capsys, workspace, cells):
    out = shown(capsys, cells[True], "--vocabulary")
    assert "Vocabulary entries that make KL(S||C), by sum" in out
    texts = read_texts(workspace, cells[True]).values()
    dots = [value for text in texts for piece, value in zip(text.tokens, text.numbers("kl"), strict=True) if piece == " are"]
    lowest = out.split("lowest kl")[1]
    row = next(line for line in lowest.splitlines() if line.startswith("' are'"))
    assert row.split()[-2:] == [f"{sum(dots) / len(dots):.4f}", str(len(dots))]
    by_tv = shown(capsys, cells[True], "--vocabulary", "--measure", "tv").split("highest tv")[1]
    means = [float(line.split()[-2]) for line in by_tv.splitlines() if line.startswith("'")]
    assert means
    assert max(means) <= 1


def test_a_summary_counts_the_texts_of_all_prompts(capsys):
    assert main(["decode", *ASK, "--measure-prompt"]) == 0
    assert "4 texts of 2 prompts, already there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["zz"], "No cell of texts begins with 'zz'"),
        (["--measure", "nope"], "--measure nope"),
        (["--html"], "one cell"),
        (["--region", "both"], "one cell"),
        (["--csv", "."], "is a folder"),
        (["--csv", ""], "is a folder"),
    ],
)
def test_bad_input_is_one_sentence(capsys, words, said):
    assert main(["show", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_measure_that_was_not_kept_is_refused(capsys, cells):
    assert main(["show", cells[True], "--measure", "weighted"]) == 2
    assert "--legacy-divergence" in capsys.readouterr().err


def test_showing_loads_neither_torch_nor_transformers(cells):
    program = (
        "import sys; from engine.cd.cli import main; "
        f"assert main(['show', '{cells[True]}']) == 0; assert not {{'torch', 'transformers'}} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
