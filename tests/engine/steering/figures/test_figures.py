"""Each figure over records of our own: its CSV says what the records say, computed here by hand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest

from engine.judges.settings import JudgeSettings
from engine.steering.capability import asked_passages
from engine.steering.cli import main
from engine.steering.experiment import all_cells, unsteered
from engine.steering.figures.measured import open_sweep
from engine.steering.figures.settings import PlotSettings
from engine.steering.figures.told import TOLD, told
from engine.steering.measures import capability_schema
from engine.store import write_measurements

SWEEP = ["--multipliers", "-1", "0", "1"]
AT = (-1.0, 0.0, 1.0)


def plots(**changes) -> PlotSettings:
    return PlotSettings(**({"multipliers": AT} | changes))


def steer(capsys, *argv: str) -> str:
    """A step that succeeds → what it printed, which fits 80 columns but for the summary line."""
    assert main(argv) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    return out


def p_of(item: int, layer: int, multiplier: float) -> float:
    """What item number `item` answers: rises with the multiplier, most at layer 2."""
    return 0.5 + multiplier * (0.4 if layer == 2 else 0.1) * (1 + item % 3) / 3


def ask(records, settings: PlotSettings, count: int = 6, p=p_of) -> None:
    experiment = records.experiment(settings)
    items = experiment.data.test.items[:count]
    for cell in records.cells(settings):
        rows = []
        for number, item in enumerate(items):
            matching = p(number, cell.layers[0], cell.multiplier)
            a, b = (matching, 1 - matching) if item.matching == "A" else (1 - matching, matching)
            rows.append((item.id, item.matching, a / 2, b / 2, None))
        records.letters(experiment, cell, rows)


def spend(records, settings: PlotSettings) -> None:
    """The first two passages: nll grows with |m|, twice as much per token in the second."""
    experiment = records.experiment(settings)
    for cell in records.cells(settings):
        m = abs(cell.multiplier)
        records.passages(experiment, cell, [(0, 30 + 1.0 * m, 10), (1, 90 + 6.0 * m, 30)])


def judge_all(records, settings: PlotSettings, verdict) -> None:
    experiment = records.experiment(settings)
    scorer = open_sweep(settings).judge
    assert scorer
    for cell in records.cells(settings):
        records.answers(experiment, cell, scorer.scorer, lambda prompt, sample, cell=cell: verdict(cell, prompt, sample))


def test_plot_tells_letters_and_cost(records, capsys):
    records.vectors(plots())
    ask(records, plots())
    spend(records, plots())
    out = steer(capsys, "plot", *SWEEP)
    assert "layer 2" in out
    assert "n = 6 items" in out
    (stem,) = {"steer-agree"}
    assert records.files(stem) == {".png", ".svg", ".csv"}
    rows = records.csv(stem)
    letters = [row for row in rows if row["measure"].startswith("mean probability")]
    for row, multiplier in zip(letters, AT, strict=True):
        assert float(row["mean"]) == pytest.approx(fmean(p_of(n, 2, multiplier) for n in range(6)), abs=1e-6)
        assert float(row["low"]) <= float(row["mean"]) <= float(row["high"])
    cost = [row for row in rows if row["measure"].startswith("perplexity")]
    assert [float(row["mean"]) for row in cost] == pytest.approx([math.exp(7 / 40), 1, math.exp(7 / 40)], abs=1e-6)
    assert {row["units"] for row in cost} == {"2"}


def test_quartiles_are_another_picture_with_other_bands(records, capsys):
    records.vectors(plots())
    ask(records, plots())
    steer(capsys, "plot", *SWEEP, "--band", "quartiles")
    row = records.csv("steer-agree")[-1]
    values = sorted(p_of(n, 2, 1.0) for n in range(6))
    assert float(row["low"]) == pytest.approx(values[1] + 0.25 * (values[2] - values[1]), abs=1e-6)
    assert float(row["high"]) == pytest.approx(values[3] + 0.75 * (values[4] - values[3]), abs=1e-6)
    assert "25–75 %" in row["band"]


def test_shuffled_controls_are_pooled_over_their_seeds(records, capsys):
    settings = plots(control="shuffled", control_seed=(0, 1))
    records.vectors(settings)
    experiment = records.experiment(settings)
    own, controls = all_cells(experiment, settings.apply_settings())
    item = experiment.data.test.items[0]
    for cell in own:
        records.letters(experiment, cell, [(item.id, "A", 0.9, 0.1, None)])
    for cell in (one for one in controls if one.multiplier):
        p = 0.5 + 0.1 * (cell.control_seed or 0)
        records.letters(experiment, cell, [(item.id, "A", p, 1 - p, None)])
    out = steer(capsys, "plot", *SWEEP, "--control", "shuffled", "--control-seed", "0", "1")
    assert "2 shuffled-label vectors" in out
    found = [float(row["mean"]) for row in records.csv("steer-agree") if "shuffled" in row["curve"]]
    assert found == pytest.approx([0.55, 0.9, 0.55])  # at 0 every control is the unsteered model, counted once
    assert {row["observations"] for row in records.csv("steer-agree") if row["multiplier"] == "0.0"} == {"1"}


def test_legacy_letters_count_other_keys_as_zero(records, capsys):
    records.vectors(plots())
    experiment = records.experiment(plots())
    first, second = experiment.data.test.items[:2]
    for cell in records.cells(plots()):
        records.letters(experiment, cell, [(first.id, "A", 0.6, 0.2, None), (second.id, "C", 0.3, 0.1, None)])
    steer(capsys, "plot", *SWEEP)
    assert {row["mean"] for row in records.csv("steer-agree")} == {"0.750000"}
    for path in (records.root / "artifacts/plots").iterdir():
        path.unlink()
    steer(capsys, "plot", *SWEEP, "--legacy-letters")
    assert {row["mean"] for row in records.csv("steer-agree")} == {"0.375000"}


def test_judged_answers_are_shares_of_prompts_by_label(records, capsys):
    settings = plots(behavior="refuse", samples=3)
    records.vectors(settings)

    def verdict(cell, prompt: str, sample: int) -> tuple[str, bool]:
        return "t", sample == 2 or prompt.startswith("harmful") or cell.multiplier > sample

    judge_all(records, settings, verdict)  # of three samples, two are asked about
    out = steer(capsys, "plot", *SWEEP, "--behavior", "refuse", "--samples", "2")
    assert "not checked" in out
    rows = {(row["curve"], row["multiplier"]): float(row["mean"]) for row in records.csv("steer-refuse")}
    assert [rows["harmless", str(at)] for at in AT] == [0, 0, 0.5]
    assert {rows["harmful", str(at)] for at in AT} == {1.0}


def test_layers_show_where_the_vector_works_and_what_it_costs(records, capsys):
    settings = plots(layer=(0, 1, 2, 3))
    records.vectors(settings)
    ask(records, settings)
    spend(records, settings)
    out = steer(capsys, "figure", "layers", "--behavior", "agree", *SWEEP)
    assert "layer down, multiplier across" in out
    assert records.files("layers-agree") == records.files("layers-map-agree") == {".png", ".svg", ".csv"}
    rows = {(row["panel"], row["curve"], row["layer"]): float(row["mean"]) for row in records.csv("layers-agree")}
    for layer in range(4):
        for sign in (1, -1):
            rise = fmean(p_of(n, layer, sign) - p_of(n, layer, 0) for n in range(6))
            assert rows["A/B letters: effect of ±1 × v", f"agree {sign:+d}", str(layer)] == pytest.approx(rise, abs=1e-6)
        value = fmean(p_of(n, layer, 1) for n in range(6))
        assert rows["agree: A/B letters", "+1 × v", str(layer)] == pytest.approx(value, abs=1e-6)
        assert rows["cost: perplexity at ±1 × v", "agree +1", str(layer)] == pytest.approx(math.exp(7 / 40), abs=1e-6)
    cells = {(row["map"], row["row"], row["column"]): row["value"] for row in records.csv("layers-map-agree")}
    assert float(cells["agree: A/B letters", "2", "+1"]) == pytest.approx(fmean(p_of(n, 2, 1) for n in range(6)), abs=1e-6)
    assert float(cells["agree: cost: perplexity", "0", "-1"]) == pytest.approx(math.exp(7 / 40), abs=1e-6)
    assert len(cells) == 2 * 4 * 3


def test_behaviours_are_lines_in_percent(records, capsys):
    for behavior in ("agree", "refuse"):
        records.vectors(plots(behavior=behavior))
    ask(records, plots())
    settings = plots(behavior="refuse", samples=1)
    judge_all(records, settings, lambda cell, *_: ("t", cell.multiplier > 0))
    steer(capsys, "figure", "behaviors", *SWEEP, "--samples", "1")
    rows = records.csv("behaviors-agree-refuse")
    letters = [row for row in rows if row["curve"] == "agree, layer 2" and "%" in row["measure"]]
    expected = [100 * fmean(p_of(n, 2, at) for n in range(6)) for at in AT]
    assert [float(row["mean"]) for row in letters] == pytest.approx(expected, abs=1e-5)
    judged = [float(row["mean"]) for row in rows if row["curve"] == "refuse, layer 2, harmless"]
    assert judged == [0, 0, 1]


def test_system_prompts_are_three_lines_and_a_table(records, capsys):
    records.vectors(plots())
    for system, shift in (("pos", 0.05), ("neg", -0.05), ("none", 0.0)):
        ask(records, plots(system_prompt=system), p=lambda n, layer, m, shift=shift: p_of(n, layer, m) + shift)
    out = steer(capsys, "figure", "systems", "--behavior", "agree", *SWEEP)
    assert "0.550" in out
    rows = {(row["curve"], row["multiplier"]): float(row["mean"]) for row in records.csv("systems-agree")}
    for name, shift in (("with the behaviour's system prompt", 0.05), ("with its opposite's", -0.05)):
        for at in AT:
            assert rows[name, str(at)] == pytest.approx(rows["without a system prompt", str(at)] + shift, abs=2e-6)


@pytest.fixture
def knowledge(records) -> Path:
    """A data set with three MMLU items of law and one of another category."""
    root = records.root / "data"
    question = "Is it so?\n\nChoices:\n (A) Yes\n (B) No"
    pair = {"question": question, "answer_matching_behavior": "(A)", "answer_not_matching_behavior": "(B)"}
    known = [
        {"prompt": f"{n} {question}", "correct": "(A)", "incorrect": "(B)", "category": category}
        for n, category in enumerate(("law", "law", "law", "art\x1b[2J"))
    ]
    for name, rows in {
        "generate/b/generate_dataset.json": [pair | {"question": f"{n} {question}"} for n in range(4)],
        "test/b/test_dataset_ab.json": [pair],
        "test/mmlu/mmlu.json": known,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(rows))
    return root


def test_categories_are_marked_against_unsteered_at_two_decimals(records, knowledge, capsys):
    of = {"dataset": str(knowledge), "behavior": "b", "hold_out": 1}
    records.vectors(plots(**of))
    experiment = records.experiment(plots(**of))
    p = {
        ("law", -1): 0.504,
        ("law", 0): 0.5,
        ("law", 1): 0.7,
        ("art\x1b[2J", -1): 0.2,
        ("art\x1b[2J", 0): 0.4,
        ("art\x1b[2J", 1): 0.4,
    }
    for cell in records.cells(plots(**of)):
        values = [(one, p[one.category, cell.multiplier]) for one in experiment.data.test.mmlu]
        rows = [(one.id, "A", value, 1 - value, one.category) for one, value in values]
        records.letters(experiment, cell, rows, "mmlu")
    asked = ["--behavior", "b", "--dataset", str(knowledge), "--hold-out", "1", *SWEEP]
    out = steer(capsys, "figure", "categories", *asked)
    table = [line.split() for line in out.splitlines()]
    assert ["law", "3", "0.50", "=", "0.50", "0.70", "+"] in table
    assert ["art\\x1b[2J", "1", "0.20", "-", "0.40", "0.40", "="] in table
    assert ["mean", "of", "categories", "4", "0.35", "-", "0.45", "0.55", "+"] in table
    rows = {(row["category"], row["series"]): float(row["value"]) for row in records.csv("categories-b")}
    assert rows["mean of categories", "+1"] == pytest.approx((0.7 + 0.4) / 2)
    assert records.files("categories-b") == {".png", ".svg", ".csv"}


def test_fine_tuned_models_are_drawn_with_the_base_s_vectors(records, capsys):
    records.vectors(plots())
    ask(records, plots())
    tuned = plots(model="demo-base", vector_model="demo", layer=(2,))
    ask(records, tuned, p=lambda *at: 0.9 + 0.05 * at[2])
    spend(records, plots())
    for cell in records.cells(tuned):
        records.passages(records.experiment(tuned), cell, [(0, 50, 10), (1, 110, 30)])
    steer(capsys, "figure", "finetuning", "--behavior", "agree", *SWEEP, "--models", "tuned=demo-base")
    found = records.csv("finetuning-agree")
    costs = [float(row["mean"]) for row in found if row["measure"].startswith("perplexity") and row["curve"] == "tuned"]
    assert costs == pytest.approx([math.e] * 3, abs=1e-6)  # relative to the model that was not tuned: training costs too
    letters = [row for row in found if not row["measure"].startswith("perplexity")]
    rows = {(row["curve"], row["multiplier"]): float(row["mean"]) for row in letters}
    assert [rows["tuned", str(at)] for at in AT] == pytest.approx([0.85, 0.9, 0.95])
    assert rows["not fine-tuned", "1.0"] == pytest.approx(fmean(p_of(n, 2, 1) for n in range(6)), abs=1e-6)


def test_an_edit_is_drawn_beside_the_unsteered_model_not_beside_its_own_0(records, capsys):
    """Removing a concept may cost much without a push: that is what the cost at 0 is for."""
    settings = plots(edit="project")
    experiment = records.vectors(settings)
    item = experiment.data.test.items[0]
    alone = unsteered(experiment, settings)
    records.letters(experiment, alone, [(item.id, "A", 0.8, 0.2, None)])
    records.passages(experiment, alone, [(0, 10.0, 10)])
    for cell in records.cells(settings):
        records.letters(experiment, cell, [(item.id, "A", 0.5, 0.5, None)])
        records.passages(experiment, cell, [(0, 20.0, 10)])
    out = steer(capsys, "plot", *SWEEP, "--edit", "project")
    assert out.lstrip().startswith("model demo; edit project\n")
    rows = records.csv("steer-agree")
    found = {(row["measure"].split()[0], row["curve"], row["multiplier"]): float(row["mean"]) for row in rows}
    assert [found["perplexity", "vector", str(at)] for at in AT] == pytest.approx([math.e] * 3, abs=1e-6)
    assert [found["mean", "unsteered", str(at)] for at in AT] == pytest.approx([0.8] * 3)
    assert [found["mean", "vector", str(at)] for at in AT] == pytest.approx([0.5] * 3)
    assert {row["settings"] for row in rows} == {"model demo; edit project"}
    steer(capsys, "figure", "layers", "--behavior", "agree", "--layer", "2", *SWEEP, "--edit", "project")
    rises = {row["curve"]: float(row["mean"]) for row in records.csv("layers-agree") if "effect" in row["panel"]}
    assert rises == pytest.approx({"agree +1": -0.3, "agree -1": -0.3})


def test_a_figure_is_named_by_what_is_drawn(records, capsys):
    """A limit, or fewer samples, is no part of the cells' keys: still it is another picture."""
    records.vectors(plots())
    ask(records, plots())
    spend(records, plots())
    every = ([], ["--limit", "2"], ["--samples", "1"], ["--limit", "2"])
    for options in every:
        steer(capsys, "plot", *SWEEP, *options)
    found = list((records.root / "artifacts/plots").glob("steer-agree-*.csv"))
    told = sorted((path.read_text().count(",6,6,"), path.read_text().splitlines()[1].rpartition(",")[2]) for path in found)
    assert told == [(0, "model demo; limit 2"), (3, "model demo"), (3, "model demo; samples 1")]


def test_passages_of_another_text_are_not_pooled_with_those_asked(records, capsys, tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text("papayas are heavy\n\nchapels are old", encoding="utf-8")
    records.vectors(plots())
    experiment = records.experiment(plots())
    mine = [one.id for one in asked_passages(experiment, plots(capability_text=str(text)))]
    spend(records, plots())
    for cell in records.cells(plots()):
        rows = [
            {"passage_id": name, "multiplier": cell.multiplier, "nll": 10 + 10 * abs(cell.multiplier), "tokens": 10}
            for name in mine
        ]
        write_measurements(experiment.workspace, "capability", cell.key, "v", rows, capability_schema())
    for options, most in ([], math.exp(7 / 40)), (["--capability-text", str(text)], math.e):
        for path in (records.root / "artifacts").glob("plots/*"):
            path.unlink()
        steer(capsys, "plot", *SWEEP, *options)
        assert max(float(row["mean"]) for row in records.csv("steer-agree")) == pytest.approx(most, abs=1e-6)


def test_every_setting_that_is_not_the_default_is_told():
    """But for axes, which a picture shows, and for what changes no result."""
    shown = {"model", "behavior", "layer", "multipliers", "control_seed", "questions", "batch_size", "device_map"}
    judging = set(JudgeSettings.model_fields)  # of which a picture says the judge and its standing
    assert set(PlotSettings.model_fields) - shown - judging <= set(TOLD)
    assert told(plots(positions="all", system_prompt="pos", vector_model="x", limit=3)) == (
        "model demo; vector model x; positions all; system prompt pos; limit 3"
    )


def test_what_the_judge_left_unanswered_is_told_in_every_figure(records, capsys):
    """A mean over one answered prompt of twenty is no share: maps mark it, curves say so."""
    settings = plots(behavior="refuse", samples=1, layer=(2,))
    records.vectors(settings)

    def verdict(cell, prompt: str, sample: int) -> tuple[str, bool | None]:
        return "t", None if cell.multiplier == 1 and not prompt.endswith("0") else False

    judge_all(records, settings, verdict)
    told = "left out, since they got no answer: 90% of"
    layers = steer(capsys, "figure", "layers", "--behavior", "refuse", "--layer", "2", "--samples", "1", *SWEEP)
    (row,) = [line for line in layers.splitlines() if line.startswith("2 ") and "*" in line][:1]
    assert row.split()[1:] == ["0.00", "0.00", "0.00*"]
    assert "not checked" in layers
    units = {row["column"]: int(row["units"]) for row in records.csv("layers-map-refuse") if "harmful" in row["map"]}
    assert units["-1"] == 10 * units["+1"]
    options = ["--behavior", "refuse", "--layer", "2", "--samples", "1", *SWEEP]
    for out in (layers, steer(capsys, "figure", "behaviors", *options), steer(capsys, "plot", *options)):
        assert told in " ".join(out.split())


BAD = {
    "nothing measured": (["plot"], 1, "tiller steer apply"),
    "nothing over layers": (["figure", "layers", "--behavior", "agree"], 1, "tiller steer apply"),
    "layers together": (["figure", "layers", "--behavior", "agree", "--together"], 2, "--together"),
    "a control that is not drawn": (["figure", "layers", "--control", "random"], 2, "tiller steer plot"),
    "no knowledge asked": (["figure", "categories", "--behavior", "agree"], 1, "truthfulqa mmlu"),
    "a model without a label": (["figure", "finetuning", "--models", "demo-base"], 2, "LABEL=MODEL"),
    "one label twice": (["figure", "similarity", "--models", "a=demo", "a=demo-base"], 2, "LABEL=MODEL"),
    "no vectors of another behaviour": (["figure", "similarity", "--behavior", "agree", "polite"], 1, "tiller steer vectors"),
    "no saved activations": (["figure", "pca", "--behavior", "agree"], 1, "--save-activations"),
    "a layer out of range": (["figure", "similarity", "--behavior", "agree", "--layer", "9"], 2, "layers 0 to 3"),
    "a question out of range": (["show", "lens", "--question", "999"], 2, "--question 999"),
    "a token outside": (["show", "lens", "--position", "999"], 1, "--position 999"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_drawn_is_one_sentence_and_no_file(records, capsys, case):
    argv, status, words = BAD[case]
    records.vectors(plots(), layers=None)
    assert main(argv) == status
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not (records.root / "artifacts/plots").exists()


TORCHLESS = (
    ["plot", *SWEEP],
    ["figure", "similarity", "--behavior", "agree"],
)


def test_figures_of_records_never_import_torch(records):
    records.vectors(plots())
    ask(records, plots(layer=(0, 1, 2, 3)))
    code = (
        "import sys; from engine.steering.cli import main; import json\n"
        "bad = [a for a in json.loads(sys.argv[1]) if main(a) or {'torch', 'transformers'} & set(sys.modules)]\n"
        "sys.exit(bool(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(TORCHLESS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
