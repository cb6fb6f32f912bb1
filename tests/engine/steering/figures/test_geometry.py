"""Similarity, spread and PCA against what numpy and scikit-learn say of the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from engine.families import Site
from engine.steering.cli import main
from engine.steering.figures.pca import components
from engine.steering.figures.settings import PlotSettings
from engine.steering.figures.similarity import cosines, spread


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def steer(capsys, *argv: str) -> str:
    assert main(argv) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    return out


def test_cosines_and_pearson_are_numpy_s():
    vectors = drawn(0, 5, 16).double().numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert cosines(vectors) == pytest.approx(unit @ unit.T)
    assert cosines(vectors, standardise=True) == pytest.approx(np.corrcoef(vectors))
    assert cosines(np.zeros((2, 4))) == pytest.approx(np.zeros((2, 2)))  # a vector of length 0 is like nothing


def test_components_are_scikit_learn_s():
    states = drawn(1, 40, 12).double().numpy() * np.linspace(3, 1, 12)
    found, shares = components(states)
    pca = PCA(2).fit(states)
    expected = pca.transform(states)
    expected *= np.sign((expected * found).sum(0))
    assert found == pytest.approx(expected)
    assert shares == pytest.approx(tuple(pca.explained_variance_ratio_))
    assert (found[np.abs(found).argmax(0), [0, 1]] > 0).all()


def test_spread_is_relative_to_the_mean_s_length():
    differences = np.array([[1.0, 1.0], [1.0, -1.0]])
    one = spread("b", 0, differences)
    assert one.relative == pytest.approx(1)
    assert one.error == pytest.approx(1 / np.sqrt(2))


def test_similarity_compares_layers_behaviours_and_models(records, capsys):
    made = {}
    for seed, (model, behavior) in enumerate((m, b) for m in ("demo", "demo-base") for b in ("agree", "polite")):
        made[model, behavior] = drawn(seed, 4, 8)
        records.vectors(PlotSettings(model=model, behavior=behavior), made[model, behavior])
    models = ["--models", "base=demo-base", "tuned=demo"]
    steer(capsys, "figure", "similarity", "--behavior", "agree", "polite", *models)
    maps = {(r["map"], r["row"], r["column"]): float(r["value"]) for r in records.csv("similarity-agree-polite")}

    def cosine(a, b):
        return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))

    agree = made["demo", "agree"]
    assert maps["agree: layers", "0", "3"] == pytest.approx(cosine(agree[0], agree[3]), abs=1e-5)
    between = cosine(agree[2], made["demo", "polite"][2])
    assert maps["behaviours at layer 2", "agree", "polite"] == pytest.approx(between, abs=1e-5)
    beside = {(r["map"], r["row"], r["column"]): float(r["value"]) for r in records.csv("models-agree-polite")}
    line = {(r["curve"], r["layer"]): float(r["mean"]) for r in records.csv("models-line-agree-polite")}
    for layer in range(4):
        expected = cosine(made["demo-base", "polite"][layer], made["demo", "polite"][layer])
        assert beside[f"polite: models at layer {layer}", "base", "tuned"] == pytest.approx(expected, abs=1e-5)
        assert line["polite: base – tuned", str(layer)] == pytest.approx(expected, abs=1e-5)


def test_models_of_other_widths_are_one_sentence(records, capsys):
    records.vectors(PlotSettings(), drawn(0, 4, 8))
    records.vectors(PlotSettings(model="demo-base"), drawn(0, 4, 6))
    assert main(["figure", "similarity", "--behavior", "agree", "--models", "a=demo", "b=demo-base"]) == 2
    assert "a 8, b 6" in capsys.readouterr().err


def test_spread_is_drawn_where_activations_are_saved(records, capsys):
    experiment = records.vectors(PlotSettings(), drawn(0, 4, 8))
    classes = {"positive": drawn(1, 10, 8) + 1, "negative": drawn(2, 10, 8)}
    records.activations(experiment, Site(1), classes, {name: [None] * 10 for name in classes})
    steer(capsys, "figure", "similarity", "--behavior", "agree")
    first, _ = records.csv("spread-agree")
    d = (classes["positive"] - classes["negative"]).double()
    expected = (d - d.mean(0)).norm(dim=1).mean() / d.mean(0).norm()
    assert (first["layer"], first["units"]) == ("1", "10")
    assert float(first["mean"]) == pytest.approx(float(expected), abs=1e-5)


def test_pca_groups_by_class_and_letter(records, capsys):
    experiment = records.vectors(PlotSettings(), drawn(0, 4, 8))
    classes = {"negative": drawn(2, 6, 8), "positive": drawn(1, 6, 8) + 2}
    letters = {name: list("ABABAB") for name in classes}
    records.activations(experiment, Site(2), classes, letters)
    out = steer(capsys, "figure", "pca", "--behavior", "agree")
    assert "positive, A (3)" in out
    rows = records.csv("pca-agree")
    assert [row["group"] for row in rows[::3]] == ["positive, A", "positive, B", "negative, A", "negative, B"]
    states = torch.cat([classes["positive"], classes["negative"]]).double().numpy()
    pca = PCA(2).fit(states)
    found = {row["label"]: abs(float(row["x"])) for row in rows}
    names = [f"{name}-{n}" for name in ("positive", "negative") for n in range(6)]
    assert found == pytest.approx(dict(zip(names, np.abs(pca.transform(states)[:, 0]), strict=True)), abs=1e-5)
    assert f"{pca.explained_variance_ratio_[0]:.0%} of the variance" in rows[0]["x_name"]
    assert records.files("pca-vectors-agree") == {".png", ".svg", ".csv"}
