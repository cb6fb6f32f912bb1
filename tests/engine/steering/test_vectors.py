"""Vectors as weighted sums of states: what they are, in one pass, with their controls; and what is kept on disk."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.chats import encode_chat
from engine.errors import EngineError
from engine.families import Site
from engine.models import load
from engine.steering.activations import collect, read_activations
from engine.steering.cli import main
from engine.steering.data import load_data
from engine.steering.experiment import open_experiment
from engine.steering.reading import read_group
from engine.steering.settings import VectorSettings
from engine.steering.vectors import SHUFFLES, difference_weights, weighted_vectors, with_norm
from engine.store import load_tensors, read_header


@pytest.fixture(scope="module")
def demo():
    return load("demo")


@pytest.fixture(scope="module")
def states(parity):
    """Twelve sequences of three classes and, one by one, their last states behind block 2: [12, hidden] float64."""
    sequences = [(1, 5 + i, 10 + i, *range(3, 3 + i % 4), 4) for i in range(12)]
    found = []
    for ids in sequences:
        with torch.inference_mode():
            hidden = parity.model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        found.append(hidden[3][0, -1].double())  # the embeddings come first
    return sequences, torch.stack(found)


SIZES = {"red": 3, "green": 7, "blue": 2}


@pytest.mark.parametrize("target", SIZES)
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_a_class_against_the_means_of_the_others(parity, states, target, batch_size):
    sequences, h = states
    means = {name: part.mean(0) for name, part in zip(SIZES, h.split(list(SIZES.values())), strict=True)}
    others = torch.stack([mean for name, mean in means.items() if name != target]).mean(0)
    weights = {"it": difference_weights(SIZES, target)}
    made = weighted_vectors(parity, sequences, weights, [Site(2)], batch_size)["it"][Site(2)]
    torch.testing.assert_close(made.vector, (means[target] - others).float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.mean, h.mean(0).float(), atol=1e-5, rtol=0)  # over all examples, not of class means
    assert made.activation_norm == pytest.approx(h.norm(dim=-1).mean().item(), rel=1e-5)


def test_shuffled_controls_deal_the_same_labels_to_other_examples(parity, states):
    sequences, h = states
    weights = difference_weights(SIZES, "green")
    made = weighted_vectors(parity, sequences, {"it": weights}, [Site(2)])["it"][Site(2)]
    assert len(made.shuffled) == SHUFFLES == 3
    for seed, vector in enumerate(made.shuffled):
        order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(vector, (weights[order] @ h).float(), atol=1e-5, rtol=0)
    for one, other in itertools.combinations([made.vector, *made.shuffled], 2):
        assert (one - other).norm() > 0.1


def test_a_chat_that_occurs_often_is_read_once_and_counts_often(parity, states):
    sequences, h = states
    twice = [*sequences, *sequences[:4], sequences[0]]
    rows = torch.tensor([*range(12), 0, 1, 2, 3, 0])
    weights = torch.linspace(-1, 2, len(twice), dtype=torch.float64)
    read, kept = [], torch.full((len(twice), 16), torch.nan)
    counter = parity.model.model.register_forward_pre_hook(
        lambda _module, _args, inputs: read.append(len(inputs["input_ids"])), with_kwargs=True
    )
    try:
        made = weighted_vectors(
            parity, twice, {"it": weights}, [Site(2)], 5, keep=lambda _site, index, state: kept.__setitem__(index, state)
        )["it"][Site(2)]
    finally:
        counter.remove()
    assert sum(read) == 12
    torch.testing.assert_close(made.vector, (weights @ h[rows]).float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.mean, h[rows].mean(0).float(), atol=1e-5, rtol=0)
    assert made.activation_norm == pytest.approx(h[rows].norm(dim=-1).mean().item(), rel=1e-5)
    torch.testing.assert_close(kept, h[rows].float(), atol=1e-5, rtol=0)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.data())
def test_weights_of_any_sizes_are_means(sizes, data):
    named = {f"class {i}": size for i, size in enumerate(sizes)}
    target = data.draw(st.sampled_from(list(named)))
    parts = dict(zip(named, difference_weights(named, target).split(sizes), strict=True))
    assert parts[target].sum().item() == pytest.approx(1)
    for name in named:
        if name != target:
            assert parts[name].sum().item() == pytest.approx(-1 / (len(sizes) - 1))
        assert len(set(parts[name].tolist())) == 1


def test_p13_normalisation_keeps_directions_and_levels_norms(parity, states):
    sequences, _ = states
    vectors = [
        weighted_vectors(parity, sequences, {"": difference_weights(SIZES, t)}, [Site(2)])[""][Site(2)].vector for t in SIZES
    ]
    mean = sum(vector.norm().item() for vector in vectors) / 3
    levelled = [with_norm(vector, mean, Site(2)) for vector in vectors]
    for vector, level in zip(vectors, levelled, strict=True):
        assert level.norm().item() == pytest.approx(mean, rel=1e-6)
        assert torch.cosine_similarity(vector, level, dim=0).item() == pytest.approx(1, abs=1e-6)


def test_a_zero_vector_has_no_direction():
    with pytest.raises(EngineError, match=r"stream\.2 is zero"):
        with_norm(torch.zeros(4), 1.0, Site(2))


def test_voices_share_one_reading_and_sum_to_nothing(demo):
    """Class means against the rest: over all targets of equal classes the vectors cancel."""
    names = ["voices.polite", "voices.rude", "voices.happy", "voices.sad", "voices.short", "voices.long"]
    contrasts = {name: load_data("demo", name, None, 0).contrast for name in names}
    assert {contrast.target for contrast in contrasts.values()} == {name.partition(".")[2] for name in names}
    site = Site(2)
    made = read_group(demo, contrasts, [site], batch_size=256)
    total = torch.stack([made[name].vectors[site].vector for name in names]).sum(0)
    assert total.norm() < 1e-3 < made["voices.polite"].vectors[site].vector.norm()


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    (tmp_path / "tiller.toml").touch()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    return tmp_path


def test_the_file_holds_vectors_means_shuffles_and_what_they_are_of(workspace, capsys, demo):
    assert main(["vectors", "--behavior", "voices.rude", "agree", "voices.rude"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["vectors voices.rude", "vectors agree", "vectors voices.rude"]
    experiment = open_experiment(VectorSettings(behavior="voices.rude"))
    header, tensors = read_header(experiment.vectors_path), load_tensors(experiment.vectors_path)
    sites = {f"{kind}.{layer}" for kind in ("stream", "attn", "mlp") for layer in range(4)}
    parts = {"", "/mean", *(f"/shuffled/{seed}" for seed in range(3))}
    assert tensors.keys() == {site + part for site in sites for part in parts}
    assert header["norms"].keys() == header["activation_norms"].keys() == sites
    assert header["classes"] == dict.fromkeys(experiment.data.contrast.classes, 80)
    assert (header["target"], header["layers"], header["hidden_size"], header["shuffled"]) == ("rude", 4, 128, 3)
    assert header["norms"]["mlp.1"] == pytest.approx(tensors["mlp.1"].norm().item(), rel=1e-5)
    assert header["choices"] == {"stream": header["choice"]}  # by the judge
    assert header["choice"]["by"] == "judge"
    letters = read_header(open_experiment(VectorSettings(behavior="agree")).vectors_path)
    assert letters["choices"].keys() == {"stream", "attn", "mlp"}
    assert letters["choice"] == letters["choices"]["stream"]
    assert not experiment.activations_path(Site(0)).exists()
    chats = {name: [encode_chat(demo.tokenizer, one.chat).ids for one in examples]
             for name, examples in experiment.data.contrast.classes.items()}  # fmt: skip
    flat = [ids for sequences in chats.values() for ids in sequences]
    weights = {"": difference_weights({name: len(one) for name, one in chats.items()}, "rude")}
    again = weighted_vectors(demo, flat, weights, [Site(1, "mlp")], 7)[""][Site(1, "mlp")]
    torch.testing.assert_close(tensors["mlp.1"], again.vector, atol=1e-5, rtol=0)


def test_activations_are_added_to_vectors_that_are_there(workspace, capsys, demo):
    command = ["vectors", "--behavior", "agree", "--contrast", "ab"]
    experiment = open_experiment(VectorSettings(behavior="agree", contrast="ab"))
    assert main(command) == 0
    before = experiment.vectors_path.stat().st_mtime_ns
    with pytest.raises(EngineError, match="--save-activations"):
        read_activations(experiment, Site(3))
    assert main([*command, "--save-activations"]) == 0
    assert "activations added at 12 sites" in capsys.readouterr().out
    assert experiment.vectors_path.stat().st_mtime_ns == before
    assert main([*command, "--save-activations"]) == 0
    assert "already there" in capsys.readouterr().out
    contrast = experiment.data.contrast
    expected = collect(demo, contrast, [Site(3)], batch_size=9)[Site(3)]
    kept = read_activations(experiment, Site(3))
    header = read_header(experiment.activations_path(Site(3)))
    assert kept.keys() == expected.keys() == {"positive", "negative"}
    for name, examples in contrast.classes.items():
        torch.testing.assert_close(kept[name], expected[name], atol=1e-4, rtol=0)
        assert header["examples"][name]["ids"] == [example.id for example in examples]
    vector = load_tensors(experiment.vectors_path)["stream.3"]
    torch.testing.assert_close(kept["positive"].mean(0) - kept["negative"].mean(0), vector, atol=1e-4, rtol=0)


def test_nan_activations_are_refused_and_nothing_is_written(workspace, tmp_path, capsys, demo):
    broken = tmp_path / "broken"
    model = load("demo")
    model.model.get_submodule("model.layers.2.mlp.down_proj").weight[0, 0] = float("nan")
    model.model.save_pretrained(broken)
    model.tokenizer.save_pretrained(broken)
    assert main(["vectors", "--model", str(broken), "--save-activations"]) == 1
    err = capsys.readouterr().err
    assert "NaN or infinite activations at stream.2" in err
    assert "Traceback" not in err
    assert not (workspace / "artifacts").exists()
