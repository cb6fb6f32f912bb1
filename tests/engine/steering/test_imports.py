"""`tiller steer import`: published `.pt` vectors become a vectors file; what is none of them is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from engine.steering.arms import open_arms
from engine.steering.cli import main
from engine.steering.experiment import cells_of, open_experiment
from engine.steering.settings import ApplySettings
from engine.store import load_tensors, read_header


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(folder))
    return folder


def vector(seed: int, width: int = 128) -> torch.Tensor:
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))


def saved(content, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return str(path)


def imported(workspace: Path) -> tuple[dict[str, torch.Tensor], dict]:
    (path,) = (workspace / "artifacts/vectors").iterdir()
    return load_tensors(path), read_header(path)


def expect(workspace: Path, expected: dict[str, torch.Tensor]) -> None:
    tensors, header = imported(workspace)
    assert tensors.keys() == expected.keys() == header["norms"].keys()
    for name, tensor in expected.items():
        assert torch.equal(tensors[name], tensor.float())
        assert header["norms"][name] == pytest.approx(tensor.float().norm().item(), rel=1e-5)
    assert header["hidden_size"] == 128


def test_a_folder_of_caa(workspace, tmp_path, capsys):
    for layer in (0, 2, 13):
        saved(vector(layer).half(), tmp_path / f"refusal/vec_layer_{layer}_Llama-2-7b-chat-hf.pt")
    assert main(["import", str(tmp_path / "refusal")]) == 0
    out = capsys.readouterr().out
    assert "3 vectors of width 128 (stream, 3 layers from 0 to 13)" in out
    expect(workspace, {f"stream.{layer}": vector(layer).half() for layer in (0, 2, 13)})
    assert "tiller steer apply --vectors-file artifacts/vectors/imported-" in out
    assert main(["import", str(tmp_path / "refusal")]) == 0
    assert "already there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("vec_layer_7_m.pt", vector(0), [], {"stream.7": vector(0)}),
        ("vec_Mllama3_Dab_L7.pt", vector(0)[None].bfloat16(), [], {"stream.7": vector(0).bfloat16()}),
        ("vec_Mllama3_Dab_Rres_L7.pt", vector(0), [], {"mlp.3": vector(0)}),
        ("vec_Mllama3_Dab_Rres_L6.pt", vector(0), [], {"attn.3": vector(0)}),
        ("vec_Mllama3_Dab.pt", [vector(0), vector(1)], [], {"stream.0": vector(0), "stream.1": vector(1)}),
        ("vec_Mllama3_Dab_Rres.pt", [vector(0), vector(1)], [], {"attn.0": vector(0), "mlp.0": vector(1)}),
        ("mine.pt", torch.stack([vector(0), vector(1)]), ["--site", "stream"], {"stream.0": vector(0), "stream.1": vector(1)}),
        ("mine.pt", vector(0), ["--site", "sublayers", "--layer", "5"], {"mlp.2": vector(0)}),
    ],
)
def test_names_and_options_say_where_vectors_belong(workspace, tmp_path, name, content, options, expected):
    assert main(["import", saved(content, tmp_path / name), *options]) == 0
    expect(workspace, expected)


def test_imported_vectors_are_what_a_sweep_adds(workspace, tmp_path, capsys):
    assert main(["import", saved(vector(3), tmp_path / "vec_layer_2_m.pt")]) == 0
    out = capsys.readouterr().out.splitlines()
    command = out[-1].partition("tiller steer apply ")[2].split()
    assert main(["apply", *command, "--questions", "ab", "--limit", "3", "--multipliers", "0", "2"]) == 0
    assert "the vector at layer 2 × 2 multipliers: 6 A/B measurements" in capsys.readouterr().out
    settings = ApplySettings(vectors_file=command[1], multipliers=(2.0,))
    experiment = open_experiment(settings)
    (cell,) = cells_of(experiment, settings)
    arms = open_arms(experiment, settings)
    ((site, added),) = arms.arm(cell).items()
    assert site.name == "stream.2"
    assert torch.equal(added, 2 * vector(3))
    assert arms.relative_norms(cell) is None  # nothing is known of this model's states


class Code:
    """What a pickle must never be allowed to do."""

    def __reduce__(self):
        return os.mkdir, ("owned",)


BAD = {
    "code": ("vec_layer_1_m.pt", Code(), [], "holds code"),
    "a dictionary": ("vec_layer_1_m.pt", {"v": vector(0)}, [], "holds no vectors"),
    "integers": ("vec_layer_1_m.pt", torch.arange(4), [], "holds no vectors"),
    "a matrix in a list": ("vec_layer_1_m.pt", [torch.zeros(2, 2)], [], "holds no vectors"),
    "NaN": ("vec_layer_1_m.pt", vector(0) * float("nan"), [], "NaN or infinite"),
    "an empty list": ("vec_layer_1_m.pt", [], [], "empty list"),
    "widths": ("vec_Mllama3_Dab.pt", [vector(0), vector(0, 64)], [], "width 64"),
    "an odd number of sublayers": ("vec_Mllama3_Dab_Rres.pt", [vector(0)] * 3, [], "two for each layer"),
    "a name without a layer": ("mine.pt", vector(0), ["--site", "stream"], "give --layer"),
    "a name without a site": ("mine.pt", vector(0), [], "give --site"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_vector_is_one_sentence_and_nothing_is_written(workspace, tmp_path, monkeypatch, capsys, case):
    name, content, options, words = BAD[case]
    monkeypatch.chdir(tmp_path)
    assert main(["import", saved(content, tmp_path / name), *options]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not (workspace / "artifacts").exists()
    assert not (tmp_path / "owned").exists()


def test_files_that_are_no_pytorch_files_are_refused(workspace, tmp_path, capsys):
    good = saved(vector(0), tmp_path / "a/vec_layer_1_m.pt")
    for content in (b"", b"hello", b"\x80\x02", Path(good).read_bytes()[:-40]):
        path = tmp_path / "vec_layer_1_m.pt"
        path.write_bytes(content)
        assert main(["import", str(path)]) == 2
        assert "Traceback" not in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["import", str(tmp_path / "empty")]) == 2
    assert main(["import", str(tmp_path / "nowhere.pt")]) == 2
    assert main(["import"]) == 2
    assert main(["import", good, saved(vector(1), tmp_path / "b/vec_layer_1_other.pt")]) == 2
    assert "one model's at a time" in capsys.readouterr().err
    assert not (workspace / "artifacts").exists()


def test_vectors_of_another_width_are_refused_before_anything_is_written(workspace, tmp_path, capsys):
    assert main(["import", saved(vector(0, 64), tmp_path / "vec_layer_2_m.pt")]) == 0
    (path,) = (workspace / "artifacts/vectors").iterdir()
    assert main(["apply", "--vectors-file", str(path), "--limit", "2"]) == 2
    err = capsys.readouterr().err
    assert "The vectors are 64 wide, but demo is 128 wide" in err
    assert {child.name for child in (workspace / "artifacts").iterdir()} == {"vectors"}
    assert main(["apply", "--vectors-file", str(path), "--layer", "1"]) == 2
    assert "no vector at stream.1" in capsys.readouterr().err
