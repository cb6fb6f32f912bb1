"""`tiller steer fit` and what finds its editors: files, keys, and how nonsense ends."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from concept_erasure import LeaceFitter

from engine.errors import EngineError
from engine.families import Site
from engine.steering.activations import read_activations
from engine.steering.cli import main
from engine.steering.editing.editors import open_editors
from engine.steering.editing.making import make_edit
from engine.steering.editing.quadratic import quad, quadlda
from engine.steering.editing.scrub import scrub
from engine.steering.experiment import open_experiment
from engine.steering.settings import ApplySettings
from engine.store import load_tensors, read_header


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace that has the vectors of `agree` on the demo model, and their activations."""
    root = tmp_path_factory.mktemp("editing")
    for part in ("runs", "logs", "artifacts"):
        (root / part).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_WORKSPACE", str(root))
        for name in ("TILLER_RUN", "TILLER_TASK", "TILLER_ATTEMPT_ID", "TILLER_PROGRESS", "TILLER_ARTIFACTS"):
            patch.delenv(name, raising=False)
        assert main(["vectors", "--save-activations"]) == 0
        yield root


@pytest.fixture
def fit(workspace, capsys):
    def run(*options: str) -> list[str]:
        """The step's summary lines."""
        capsys.readouterr()
        assert main(["fit", *options]) == 0
        return capsys.readouterr().out.strip().splitlines()

    return run


SCRUB = {"edit": "scrub", "site": "sublayers", "together": True}


def files(workspace: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for path in (workspace / "artifacts/editors").rglob("*")
        if path.is_file()
    }


def editors(**options):
    settings = ApplySettings(**options)
    found = open_editors(open_experiment(settings), settings)
    assert found is not None
    return found.load()


def test_leace_is_found_again_and_erases_what_the_library_erases(fit):
    assert fit("--site", "stream", "mlp")[0].startswith("fit agree leace: 8 sites → artifacts/editors/")
    assert "already there, 8 sites" in fit("--site", "stream", "mlp")[0]
    experiment = open_experiment(ApplySettings())
    tensors = load_tensors(experiment.vectors_path)
    for site, settings in ((Site(2), {"layer": (2,)}), (Site(1, "mlp"), {"layer": (1,), "site": "mlp"})):
        states = read_activations(experiment, site)
        x = torch.cat([states["positive"], states["negative"]]).double()
        z = torch.cat([torch.ones(len(states["positive"])), torch.zeros(len(states["negative"]))]).double()
        edit = make_edit(
            "leace", site, 0.0, tensors[site.name], tensors[f"{site.name}/mean"], editors(edit="leace", **settings)
        )
        torch.testing.assert_close(edit.moved(x), LeaceFitter.fit(x, z).eraser(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["quad", "quadlda"])
def test_maps_come_back_from_disk_as_they_were_fitted(fit, kind):
    fit("--method", kind, "--layer", "3")
    site = Site(3)
    states = read_activations(open_experiment(ApplySettings()), site)
    target, others = states["positive"], states["negative"]
    fresh = {"quad": quad, "quadlda": quadlda}[kind](target, others)
    for up, wanted in ((True, fresh.up), (False, fresh.down)):
        found = editors(edit=kind, layer=(3,), multipliers=(1.0,)).transport(site, up)
        moved, exact = found.moved(torch.cat([target, others])), wanted.moved(torch.cat([target, others]).double())
        torch.testing.assert_close(moved.double(), exact, atol=1e-2, rtol=1e-3)
        assert (moved - torch.cat([target, others])).abs().max() > 0.1


def test_a_stopped_fit_goes_on_with_what_is_missing(fit, workspace):
    options = ("--method", "quad", "quadlda", "--layer", "0", "2")
    fit(*options)
    before = files(workspace)
    gone = next(name for name in before if name.endswith("stream.2.safetensors") and method(workspace, name) == "quad")
    (workspace / gone).unlink()
    first, second = fit(*options)
    assert "fit agree quad: 2 sites, of them 1 new" in first
    assert "fit agree quadlda: already there" in second
    assert files(workspace) == before


def method(workspace: Path, name: str) -> str:
    return read_header(workspace / name)["settings"]["method"]


def test_kept_activations_and_fresh_ones_give_the_same_editors(fit, workspace):
    fit()
    leace = {"edit": "leace", "layer": (2,)}
    kept = editors(**leace).functional(Site(2))
    for name in files(workspace):
        (workspace / name).unlink()
    activations = workspace / "artifacts/activations"
    activations.rename(workspace / "aside")
    try:
        fit()
    finally:
        (workspace / "aside").rename(activations)
    torch.testing.assert_close(editors(**leace).functional(Site(2)), kept, atol=1e-4, rtol=1e-3)


def test_scrub_has_a_file_for_each_multiplier_and_more_can_be_added(fit, workspace):
    (line,) = fit("--method", "scrub", "--multipliers", "-1", "1")
    assert "fit agree scrub (leace): 2 multipliers →" in line
    more = ("--method", "scrub", "--multipliers", "-1", "0.5", "0.75", "1")
    assert "4 multipliers, of them 2 new" in fit(*more, "--batch-size", "1")[0]  # fewer than multipliers
    assert editors(**SCRUB, multipliers=(0.5,)).link(Site(3, "mlp"), 0.5).direction.norm() == pytest.approx(1, abs=1e-5)
    with pytest.raises(EngineError, match=r"no scrub editors.*--method scrub --multipliers 0\.25"):
        editors(**SCRUB, multipliers=(0.25,))


def test_every_way_to_scrub_has_editors_of_its_own(fit, workspace):
    first = Site(0, "attn")  # where nothing is edited yet, so that only the length of what is added differs
    with pytest.raises(EngineError, match="no scrub editors"):
        editors(**SCRUB, multipliers=(1.0,), scrub_method="orth")
    fit("--method", "scrub", "--multipliers", "0", "1", "--scrub-method", "orth")
    fit("--method", "scrub", "--multipliers", "1", "--scrub-method", "orth", "--legacy-edits")
    zero, one = (editors(**SCRUB, multipliers=(m,), scrub_method="orth").link(first, m).at for m in (0.0, 1.0))
    half = editors(**SCRUB, multipliers=(1.0,), scrub_method="orth", legacy_edits=True).link(first, 1.0).at
    assert one - zero > 0.01
    assert half - zero == pytest.approx((one - zero) / 2)


def test_a_sweep_with_an_editor_has_cells_of_its_own(fit, workspace, capsys):
    fit()
    small = ["--multipliers", "0", "--limit", "2", "--samples", "1", "--questions", "ab", "open"]
    for edit in ("none", "leace", "orth"):
        assert main(["apply", "--edit", edit, *small]) == 0
        assert "already there" not in capsys.readouterr().out
    assert main(["apply", "--edit", "leace", *small]) == 0
    assert "already there" in capsys.readouterr().out


def test_a_finished_fit_and_its_refusals_need_no_torch(fit, workspace):
    fit()
    code = (
        "import sys; from engine.steering.cli import main; "
        "assert main(['fit']) == 0; assert main(['fit', '--layer', '9']) == 2; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "demo has layers 0 to 3" in done.stderr


NONSENSE = [
    ("--edit leace --control random", "no control vectors"),
    ("--edit scrub --site sublayers --together --control shuffled", "no control vectors"),
    ("--edit leace --vector-layer 1", "does not go with --vector-layer"),
    ("--edit quad --multipliers -1 1 --vector-model demo-base", "does not go with --vector-model"),
    ("--edit leace --vectors-file x", "does not go with --vectors-file"),
    ("--edit quad --logit --multipliers 1", "leace, orth and project"),
    ("--edit oracle --logit --questions open", "leace, orth and project"),
    ("--edit scrub --logit --site sublayers --together", "leace, orth and project"),
    ("--edit quad", "give --multipliers -1 0 1"),
    ("--edit quadlda --multipliers 1 --scale activation", "leave out --scale"),
    ("--edit scrub", "--site sublayers --together"),
    ("--edit scrub --site sublayers", "--site sublayers --together"),
    ("--edit scrub --site sublayers --together --layer 1 2", "no --layer"),
    ("--edit scrub --site sublayers --together --scale activation", "leave out --scale"),
    ("--legacy-edits", "give it with --edit orth"),
    ("--edit leace --legacy-edits", "give it with --edit orth"),
    ("--edit orth --scrub-method orth", "goes with --edit scrub only"),
]


@pytest.mark.parametrize(("options", "said"), NONSENSE, ids=[options for options, _ in NONSENSE])
def test_options_that_mean_nothing_together_are_refused_in_one_sentence(workspace, capsys, options, said):
    before = sorted(workspace.rglob("*"))
    assert main(["apply", *options.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert said in error
    assert sorted(workspace.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--method leace quad --logit", "Quad compares classes"),
        ("--legacy-edits", "give them with --method scrub"),
        ("--method quad --scrub-method orth", "give them with --method scrub"),
        ("--method scrub --layer 1", "leave out --layer"),
        ("--method scrub --site attn mlp", "leave out --site"),
        ("--layer 0 4", "demo has layers 0 to 3"),
        ("--layer -1", "demo has layers 0 to 3"),
    ],
)
def test_fits_that_mean_nothing_are_refused_in_one_sentence(workspace, capsys, options, said):
    before = sorted(workspace.rglob("*"))
    assert main(["fit", *options.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert said in error
    assert sorted(workspace.rglob("*")) == before


def test_editors_that_are_missing_are_told_with_the_command(workspace, capsys):
    assert main(["apply", "--edit", "leace", "--site", "attn", "--layer", "1"]) == 1
    assert "run `tiller steer fit --behavior agree --model demo --method leace --site attn` with" in capsys.readouterr().err


def test_fitting_without_vectors_names_the_step_before(workspace, capsys):
    assert main(["fit", "--behavior", "refuse"]) == 1
    assert "run `tiller steer vectors --behavior refuse" in capsys.readouterr().err


def test_states_that_are_not_numbers_are_refused_by_site(parity):
    from engine.models import wrap

    broken = wrap(copy.deepcopy(parity.model), parity.tokenizer, "broken")
    broken.model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(EngineError, match=r"broken gives NaN or infinite activations at mlp\.1"):
        scrub(broken, [(1, 2, 40), (1, 2, 41)], torch.tensor([1.0, -1.0]).double(), [0.0])
