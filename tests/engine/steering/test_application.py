"""Every option of a sweep changes what is added as it says, and the cells' keys tell apart what differs, nothing else."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch

from engine.chats import encode_chat
from engine.errors import EngineError, InputError
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.models import load
from engine.sampling import Sampling
from engine.steering import ab
from engine.steering.application import answers, rows_of
from engine.steering.arms import open_arms
from engine.steering.capability import load_passages, measure, queries_of
from engine.steering.cli import main
from engine.steering.experiment import cells_of, measured_cells, open_experiment, unsteered
from engine.steering.settings import ApplySettings, VectorSettings
from engine.store import load_tensors, read_header, read_measurements, read_responses, save_tensors
from engine.workspace import Workspace

STREAM = [Site(layer) for layer in range(4)]


@pytest.fixture(scope="module")
def demo():
    return load("demo")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A workspace with the vectors of two behaviours and of two models."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tiller.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_WORKSPACE", str(folder))
        assert main(["vectors", "--behavior", "agree", "refuse"]) == 0
        assert main(["vectors", "--model", "demo-base"]) == 0
    return folder


@pytest.fixture
def workspace(tmp_path, made, monkeypatch) -> Path:
    folder = tmp_path / "ws"
    shutil.copytree(made, folder)
    monkeypatch.setenv("TILLER_WORKSPACE", str(folder))
    return folder


def settings(**options) -> ApplySettings:
    return ApplySettings(**({"multipliers": (0.5,), "layer": (2,)} | options))


def opened(**options):
    asked = settings(**options)
    experiment = open_experiment(asked)
    return cells_of(experiment, asked), open_arms(experiment, asked)


def pushes(**options):
    """What the only cell adds, by site."""
    (cell,), arms = opened(**options)
    return arms.arm(cell)


def vectors(behavior: str = "agree", model: str = "demo"):
    path = open_experiment(VectorSettings(behavior=behavior, model=model)).vectors_path
    return load_tensors(path), read_header(path)


def same(found, expected):
    assert found.keys() == expected.keys()
    for site, tensor in expected.items():
        torch.testing.assert_close(found[site], tensor)


@pytest.mark.usefixtures("workspace")
class TestWhatIsAdded:
    def test_a_layer_gets_a_multiple_of_its_vector(self):
        same(pushes(multipliers=(-0.75,)), {Site(2): -0.75 * vectors()[0]["stream.2"]})

    def test_without_a_layer_the_chosen_one_is_steered(self):
        tensors, header = vectors()
        for kind in ("stream", "attn", "mlp"):
            site = Site(header["choices"][kind]["layer"], kind)
            same(pushes(layer=(), site=kind), {site: 0.5 * tensors[site.name]})

    def test_layers_are_sweeps_of_their_own(self):
        cells, arms = opened(layer=(1, 3), multipliers=(1.0, 2.0))
        assert [(cell.layers, cell.multiplier) for cell in cells] == [((1,), 1), ((1,), 2), ((3,), 1), ((3,), 2)]
        same(arms.arm(cells[3]), {Site(3): 2 * vectors()[0]["stream.3"]})

    @pytest.mark.parametrize("given", [(), (0, 1, 2, 3)])
    def test_together_adds_at_every_layer_its_own_vector(self, given):
        tensors, _ = vectors()
        same(pushes(together=True, layer=given), {site: 0.5 * tensors[site.name] for site in STREAM})

    def test_together_adds_at_the_given_layers_only(self):
        tensors, _ = vectors()
        same(pushes(together=True, layer=(3, 1)), {site: 0.5 * tensors[site.name] for site in (STREAM[1], STREAM[3])})

    def test_sublayers_are_attention_and_mlp(self):
        tensors, _ = vectors()
        same(pushes(site="sublayers"), {Site(2, kind): 0.5 * tensors[f"{kind}.2"] for kind in ("attn", "mlp")})
        assert len(pushes(site="sublayers", together=True, layer=())) == 8

    def test_scale_activation_counts_mean_norms_of_the_states_there(self):
        (cell,), arms = opened(scale="activation", multipliers=(-0.2,))
        tensors, header = vectors()
        added = arms.arm(cell)[Site(2)]
        assert added.norm().item() == pytest.approx(0.2 * header["activation_norms"]["stream.2"], rel=1e-5)
        assert torch.cosine_similarity(added, tensors["stream.2"], dim=0).item() == pytest.approx(-1, abs=1e-5)
        assert arms.relative_norms(cell) == {"stream.2": pytest.approx(0.2, rel=1e-5)}

    def test_relative_norms_say_how_hard_a_plain_sweep_pushes(self):
        (cell,), arms = opened(multipliers=(-2.0,))
        _, header = vectors()
        share = 2 * header["norms"]["stream.2"] / header["activation_norms"]["stream.2"]
        assert arms.relative_norms(cell) == {"stream.2": pytest.approx(share, rel=1e-5)}

    def test_p13_normalise_over_gives_the_behaviours_mean_norm(self):
        norms = [vectors(name)[1]["norms"]["stream.2"] for name in ("agree", "refuse")]
        for behavior in ("agree", "refuse"):
            added = pushes(behavior=behavior, normalise_over=("agree", "refuse"), multipliers=(1.0,))[Site(2)]
            assert added.norm().item() == pytest.approx(sum(norms) / 2, rel=1e-5)
            own = vectors(behavior)[0]["stream.2"]
            assert torch.cosine_similarity(added, own, dim=0).item() == pytest.approx(1, abs=1e-5)
        assert norms[0] != pytest.approx(norms[1], rel=0.01)

    def test_normalising_over_a_behaviour_without_vectors_says_how_to_make_them(self):
        with pytest.raises(EngineError, match=r"tiller steer vectors --behavior polite"):
            opened(normalise_over=("agree", "polite"))

    def test_vector_layer_adds_one_layers_vector_everywhere(self):
        v = 0.5 * vectors()[0]["stream.1"]
        same(pushes(vector_layer=1), {Site(2): v})
        same(pushes(vector_layer=1, layer=(), together=True), dict.fromkeys(STREAM, v))

    def test_vector_layer_with_scale_activation_has_the_length_of_where_it_is_added(self):
        _, header = vectors()
        added = pushes(vector_layer=1, scale="activation", multipliers=(1.0,))[Site(2)]
        assert added.norm().item() == pytest.approx(header["activation_norms"]["stream.2"], rel=1e-5)

    def test_vector_model_adds_another_models_vector(self):
        same(pushes(vector_model="demo-base"), {Site(2): 0.5 * vectors(model="demo-base")[0]["stream.2"]})

    def test_vectors_file_adds_what_is_in_the_file(self, tmp_path):
        path = tmp_path / "mine.safetensors"
        v = torch.arange(128.0)
        save_tensors(path, {"stream.2": v}, {"norms": {"stream.2": 1.0}, "hidden_size": 128, "layers": 3, "shuffled": 0})
        same(pushes(vectors_file=str(path)), {Site(2): 0.5 * v})
        same(pushes(vectors_file=str(path), layer=()), {Site(2): 0.5 * v})

    def test_random_controls_have_the_vectors_norm_and_a_direction_of_their_own(self):
        v = vectors()[0]["stream.2"]
        cells, arms = opened(control="random", control_seed=(0, 1), multipliers=(1.0,))
        drawn = [arms.arm(cell)[Site(2)] for cell in cells]
        for one in drawn:
            assert one.norm().item() == pytest.approx(v.norm().item(), rel=1e-5)
            assert abs(torch.cosine_similarity(one, v, dim=0).item()) < 0.4
        assert abs(torch.cosine_similarity(*drawn, dim=0).item()) < 0.4
        together = pushes(control="random", together=True, layer=(1, 2), multipliers=(1.0,))
        assert abs(torch.cosine_similarity(together[Site(1)], together[Site(2)], dim=0).item()) < 0.4

    def test_shuffled_controls_are_the_vectors_of_shuffled_labels_at_the_vectors_length(self):
        """By nature they are several times shorter: that alone would make their effect small."""
        cells, arms = opened(control="shuffled", control_seed=(0, 2))
        made = vectors()[0]
        for cell, seed in zip(cells, (0, 2), strict=True):
            shuffled = made[f"stream.2/shuffled/{seed}"]
            same(arms.arm(cell), {Site(2): 0.5 * shuffled / shuffled.norm() * made["stream.2"].norm()})

    def test_edits_come_before_the_vector(self):
        v, mean = vectors()[0]["stream.2"], vectors()[0]["stream.2/mean"]
        v, mean = v.double(), mean.double()
        half = torch.full((5,), 0.5, dtype=torch.float64)
        h = torch.randn(5, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + mean
        along = pushes(edit="project")[Site(2)].moved(h) @ v / (v @ v)
        torch.testing.assert_close(along, half, atol=1e-4, rtol=0)
        along = (pushes(edit="orth")[Site(2)].moved(h) - mean) @ v / (v @ v)
        torch.testing.assert_close(along, half, atol=1e-4, rtol=0)

    def test_an_edit_slides_from_the_mean_of_the_steered_layer_whoever_the_vector_is_of(self):
        mean, v = vectors()[0]["stream.2/mean"], vectors(model="demo-base")[0]["stream.1"]
        edit = pushes(edit="orth", vector_model="demo-base", vector_layer=1, multipliers=(0.0,))[Site(2)]
        v, mean = v.double(), mean.double()
        h = torch.randn(5, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + mean
        along = (edit.moved(h) - mean) @ v / (v @ v)
        torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-4, rtol=0)

    def test_the_oracle_moves_classes_apart_by_what_they_are(self):
        options = {"behavior": "refuse", "edit": "oracle", "questions": ("open",), "multipliers": (0.0,)}
        (cell,), arms = opened(**options)
        h = torch.zeros(1, 128)
        found = {label: arms.arm(cell, label)[Site(2)] for label in ("harmful", "harmless")}
        moves = {label: edit.moved(h) if hasattr(edit, "moved") else h + edit for label, edit in found.items()}
        v = vectors("refuse")[0]["stream.2"]
        torch.testing.assert_close((moves["harmless"] - moves["harmful"])[0], v, atol=1e-4, rtol=1e-4)
        with pytest.raises(InputError, match="oracle"):
            arms.arm(cell, None)


DIFFERENT = {  # options of the same sweep that give other results
    "as it is": {},
    "another layer": {"layer": (1,)},
    "another multiplier": {"multipliers": (0.25,)},
    "two layers at once": {"layer": (1, 2), "together": True},
    "attention": {"site": "attn"},
    "sublayers": {"site": "sublayers"},
    "in activation norms": {"scale": "activation"},
    "normalised": {"normalise_over": ("agree", "refuse")},
    "normalised over others": {"normalise_over": ("refuse",)},
    "vector of another layer": {"vector_layer": 1},
    "vector of another model": {"vector_model": "demo-base"},
    "project": {"edit": "project"},
    "orth": {"edit": "orth"},
    "all positions": {"positions": "all"},
    "from a marker": {"positions": "from_marker", "marker": "I"},
    "from another marker": {"positions": "from_marker", "marker": "think"},
    "persona": {"system_prompt": "pos"},
    "opposite persona": {"system_prompt": "neg"},
    "random control": {"control": "random"},
    "another random control": {"control": "random", "control_seed": (1,)},
    "shuffled control": {"control": "shuffled"},
    "hotter": {"temperature": 1.5},
}


def key(**options) -> str:
    asked = settings(**options)
    (cell,) = cells_of(open_experiment(asked), asked)
    return cell.key


@pytest.mark.usefixtures("workspace")
def test_what_gives_other_results_is_another_cell():
    keys = {name: key(**options) for name, options in DIFFERENT.items()}
    for one, other in itertools.combinations(keys, 2):
        assert keys[one] != keys[other], (one, other)


ALIKE = {  # two ways to say the same
    "its own vector's layer": ({}, {"vector_layer": 2}),
    "one layer together": ({}, {"together": True}),
    "layers in another order": ({"layer": (1, 3), "together": True}, {"layer": (3, 1, 3), "together": True}),
    "behaviours in another order": ({"normalise_over": ("agree", "refuse")}, {"normalise_over": ("refuse", "agree", "refuse")}),
    "a seed without a control": ({}, {"control_seed": (5,)}),
    "a multiplier with rounding": ({"multipliers": (0.3,)}, {"multipliers": (0.1 + 0.2,)}),
    "its own model's vectors": ({}, {"vector_model": "demo"}),
    "fewer questions": ({}, {"questions": ("ab",), "limit": 3}),
}


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("case", ALIKE)
def test_what_is_said_in_two_ways_is_one_cell(case):
    one, other = ALIKE[case]
    assert key(**one) == key(**other)


UNSTEERED = {  # of these sweeps, the point 0 is the model as it is
    "as it is": {},
    "another layer": {"layer": (1,)},
    "all layers at once": {"layer": (), "together": True},
    "sublayers": {"site": "sublayers"},
    "scaled": {"scale": "activation"},
    "normalised": {"normalise_over": ("agree", "refuse")},
    "vector of another layer": {"vector_layer": 1},
    "vector of another model": {"vector_model": "demo-base"},
    "all positions": {"positions": "all"},
    "from a marker": {"positions": "from_marker", "marker": "I"},
    "random control": {"control": "random", "control_seed": (1,)},
    "fewer questions": {"questions": ("ab",), "limit": 3, "samples": 1},
    "minus zero": {"multipliers": (-0.0,)},
}
NOT_ALONE = {  # and of these it is not, or it is another model's
    "project": {"edit": "project"},
    "orth": {"edit": "orth"},
    "persona": {"system_prompt": "pos"},
    "opposite persona": {"system_prompt": "neg"},
    "hotter": {"temperature": 1.5},
    "shorter": {"max_new_tokens": 7},
    "another seed": {"seed": 1},
    "another behaviour": {"behavior": "refuse"},
}


@pytest.mark.usefixtures("workspace")
def test_an_unsteered_model_is_one_cell_whatever_the_sweep():
    keys = {name: key(**{"multipliers": (0.0,)} | options) for name, options in (UNSTEERED | NOT_ALONE).items()}
    assert len({keys[name] for name in UNSTEERED}) == 1
    assert len(set(keys.values())) == 1 + len(NOT_ALONE)
    asked = settings()
    assert unsteered(open_experiment(asked), asked).key == keys["as it is"]


@pytest.mark.usefixtures("workspace")
def test_layers_are_points_of_their_own_at_0_that_are_measured_once():
    asked = settings(layer=(1, 2, 3), multipliers=(0.0, 0.5))
    experiment = open_experiment(asked)
    assert [cell.layers for cell in cells_of(experiment, asked) if cell.multiplier == 0] == [(1,), (2,), (3,)]
    assert len(measured_cells(experiment, asked)) == 3 + 1


def test_beside_every_sweep_the_unsteered_model_is_asked_the_same(workspace, demo, capsys):
    """Also beside an edit, whose own 0 is another model; rows of the same batch are left alone by it."""
    small = ["--layer", "2", "--limit", "4", "--samples", "2", "--max-new-tokens", "8"]
    assert main(["apply", "--edit", "orth", "--multipliers", "0", "1", *small]) == 0
    out = capsys.readouterr().out
    assert (
        "× 2 multipliers, beside the unsteered model: 12 A/B measurements, 24 answers, 12 capability passages in 3 cells" in out
    )
    asked = settings(edit="orth", multipliers=(0.0,), max_new_tokens=8)
    experiment, where = open_experiment(asked), Workspace(workspace)
    alone, edited = unsteered(experiment, asked), cells_of(experiment, asked)[0]
    found = {cell.key: read_measurements(where, "capability", cell.key, "passage_id") for cell in (alone, edited)}
    assert found[alone.key].keys() == found[edited.key].keys()
    plain = measure(
        demo, queries_of(demo, [(0, one) for one in load_passages(None, True)[:4]], lambda _: 0), Steering([{}]), 64
    )
    assert [row["nll"] for row in found[alone.key].values()] == pytest.approx([row["nll"] for row in plain], rel=1e-4)
    assert [row["nll"] for row in found[edited.key].values()] != pytest.approx([row["nll"] for row in plain], rel=1e-2)
    record = json.loads((workspace / "artifacts/cells" / f"{alone.key}.json").read_text())
    assert (record["settings"]["edit"], record["settings"]["layer"], record["settings"]["behavior"]) == ("none", [], "agree")
    assert "facts" not in record or not record["facts"]
    assert main(["apply", "--multipliers", "0", *small]) == 0
    assert "already there" in capsys.readouterr().out


def test_a_file_or_a_persona_with_other_content_is_another_cell(workspace, tmp_path):
    path, header = tmp_path / "v.safetensors", {"norms": {"stream.2": 1.0}, "hidden_size": 128, "layers": 3, "shuffled": 0}
    save_tensors(path, {"stream.2": torch.ones(128)}, header)
    first, persona = key(vectors_file=str(path)), key(system_prompt="pos")
    save_tensors(path, {"stream.2": torch.ones(128) * 2}, header)
    (workspace / "systems.toml").write_text('[agree]\npos = "Say yes."\nneg = "Say no."\n')
    assert key(vectors_file=str(path)) != first
    assert key(system_prompt="pos") != persona


def test_a_multiplier_given_twice_is_one_cell(workspace):
    asked = settings(multipliers=(0.3, 0.1 + 0.2, 0.5))
    assert [cell.multiplier for cell in cells_of(open_experiment(asked), asked)] == [pytest.approx(0.3), 0.5]


OPTIONS = ["--site", "sublayers", "--together", "--layer", "1", "3", "--multipliers", "0.5", "-0.5", "--limit", "6"]


def test_what_apply_records_is_what_the_arms_give(workspace, demo, capsys):
    assert main(["apply", "--questions", "ab", *OPTIONS]) == 0
    asked = settings(site="sublayers", together=True, layer=(1, 3), multipliers=(0.5, -0.5))
    experiment = open_experiment(asked)
    tensors, header = vectors()
    items = experiment.data.test.items[:6]
    for cell in cells_of(experiment, asked):
        arm = {Site(at, kind): cell.multiplier * tensors[f"{kind}.{at}"] for at in (1, 3) for kind in ("attn", "mlp")}
        expected = ab.measure(demo, [(0, item) for item in items], Steering([arm]), 64)
        found = read_measurements(Workspace(workspace), "ab", cell.key, "item_id")
        for record in expected:
            assert found[record["item_id"]]["p_a"] == pytest.approx(record["p_a"], abs=1e-5)
            assert found[record["item_id"]]["p_matching"] == pytest.approx(record["p_matching"], abs=1e-5)
        facts = json.loads((workspace / "artifacts/cells" / f"{cell.key}.json").read_text())["facts"]
        share = 0.5 * header["norms"]["mlp.3"] / header["activation_norms"]["mlp.3"]
        assert facts["relative_norms"]["mlp.3"] == pytest.approx(share, rel=1e-4)
        assert len(facts["relative_norms"]) == 4


def test_a_persona_is_put_before_the_question_and_judges_do_not_see_it(workspace, demo):
    (cell,), _ = opened(system_prompt="pos")
    prompt = open_experiment(settings()).data.test.prompts[0]
    pending, asked = [(0, prompt, 0)], settings()
    plain, led = (rows_of(demo, [cell], pending, lambda *_: 0, line, asked) for line in (None, "Take my side."))
    assert "Take my side." in demo.decode(led[0].prompt)
    assert "Take my side." not in demo.decode(plain[0].prompt)
    steering = Steering([{}])
    (answer,) = answers(demo, [cell], steering, pending, led, Sampling(4, temperature=0), 1)
    assert answer.response.prompt == prompt.chat[0].content
    assert answer.prompt_tokens == len(led[0].prompt)


def test_a_persona_moves_the_letters_as_steering_does(workspace, capsys):
    means = {}
    for name in ("neg", "none", "pos"):
        assert main(["apply", "--questions", "ab", "--multipliers", "0", "--layer", "2", "--system-prompt", name]) == 0
        records = read_measurements(Workspace(workspace), "ab", key(system_prompt=name, multipliers=(0.0,)), "item_id").values()
        means[name] = sum(record["p_matching"] for record in records) / len(records)
    assert means["neg"] < means["none"] - 0.1
    assert means["pos"] > means["none"] + 0.03


def test_labelled_prompts_get_the_oracles_own_edit(workspace, demo, capsys):
    """At multiplier 0 each class is moved half the way to the other."""
    command = ["apply", "--behavior", "refuse", "--edit", "oracle", "--questions", "open", "--layer", "3", "--samples", "1"]
    assert main([*command, "--multipliers", "0", "--limit", "8", "--temperature", "0", "--max-new-tokens", "12"]) == 0
    told = "with oracle at layer 3 × 1 multiplier, beside the unsteered model: 16 answers"
    assert told in capsys.readouterr().out
    asked = settings(
        behavior="refuse", edit="oracle", questions=("open",), layer=(3,), multipliers=(0.0,), temperature=0, max_new_tokens=12
    )
    experiment = open_experiment(asked)
    (cell,) = cells_of(experiment, asked)
    arms = open_arms(experiment, asked)
    written = {answer.prompt_id: answer.text for answer in read_responses(Workspace(workspace), cell.key).values()}
    prompts = experiment.data.test.first(8, ("open",)).prompts
    assert {prompt.label for prompt in prompts} == {"harmful", "harmless"}
    expected = {}
    for prompt in prompts:
        row = Row(encode_chat(demo.tokenizer, prompt.chat).ids)
        ((_, found),) = generate(demo, [row], Sampling(12, temperature=0), Steering([arms.arm(cell, prompt.label)]))
        expected[prompt.id] = demo.decode(found.ids)
    assert written == expected
