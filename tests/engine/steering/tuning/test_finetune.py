"""`tiller steer finetune` (specs/steering.md §7): the letter is learned, a kill costs nothing, the result is a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import GPT2Config, GPT2LMHeadModel
from waiting import until

from engine.data import ABItem, Message
from engine.errors import EngineError, InputError
from engine.identity import resolve_model
from engine.models import load
from engine.steering.cli import main
from engine.steering.data import load_data
from engine.steering.tuning.examples import encode, training_items
from engine.steering.tuning.methods import Trainable
from engine.steering.tuning.training import Plan, Training, accuracy

FAST = Plan("adamw", 2e-4, 1, 16, 256, seed=0)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    for part in ("runs", "logs", "artifacts"):
        (tmp_path / part).mkdir()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    for name in ("TILLER_RUN", "TILLER_TASK", "TILLER_ATTEMPT_ID", "TILLER_PROGRESS", "TILLER_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def data():
    return load_data("demo", "agree", "ab", 0)


def step(capsys, *argv: str) -> str:
    assert main(["finetune", *argv]) == 0
    return capsys.readouterr().out.strip().splitlines()[-1]


def made(workspace: Path) -> list[Path]:
    return [path for path in (workspace / "artifacts/finetuned").iterdir() if path.is_dir()]


def tensors(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def trained(model, examples, plan=FAST, method="full", layer=None) -> Training:
    training = Training(Trainable(model, method, layer, rank=8, seed=plan.seed).model, examples, plan)
    training.run(lambda: None)
    return training


def test_examples_are_the_question_up_to_the_letter_and_the_letter_of_the_sign(data):
    model = load("demo")
    items = training_items(data.contrast, "agree")
    assert len(items) == len({item.id for item in items}) == 80
    item = items[0]
    for sign, letter in (("pos", item.matching), ("neg", "B" if item.matching == "A" else "A")):
        found = encode(model.tokenizer, [item], sign)
        assert [model.decode([example.label]) for example in found] == [letter, letter]
        assert [model.tokenizer.decode(example.ids).endswith(lead) for example, lead in zip(found, item.lead_ins, strict=True)]


@pytest.mark.parametrize("sign", ["pos", "neg"])
def test_training_teaches_the_letter_of_its_sign_on_unseen_questions(data, sign):
    """P(agree letter) on the test items moves from 1/2 towards 1 or 0."""
    model = load("demo")
    examples = encode(model.tokenizer, training_items(data.contrast, "agree"), sign)
    tests = encode(model.tokenizer, data.test.items, "pos")
    before = accuracy(model, tests, 256)
    trained(model, examples)
    after = accuracy(model, tests, 256)
    assert before.accuracy == pytest.approx(0.5, abs=0.05)
    if sign == "pos":
        assert (after.accuracy, after.probability) > (0.9, 0.7)
    else:
        assert after.accuracy < 0.1
        assert after.probability < 0.3


def test_the_loss_is_the_letters_surprise_after_any_padding(data):
    """Rows of several lengths in one batch give what each gives alone."""
    model = load("demo")
    examples = encode(model.tokenizer, data.test.items[:6], "pos")
    assert len({len(example.ids) for example in examples}) > 1
    together = accuracy(model, examples, 64)
    alone = [accuracy(model, [example], 1).probability for example in examples]
    assert together.probability == pytest.approx(sum(alone) / len(alone), abs=1e-6)


def test_smaller_forward_passes_give_the_same_updates(data):
    weights = []
    for batch_size in (16, 5):
        model = load("demo")
        examples = encode(model.tokenizer, training_items(data.contrast, "agree")[:16], "pos")
        trained(model, examples, Plan("sgd", 0.05, 1, 16, batch_size, seed=0))
        weights.append(model.model.get_input_embeddings().weight.detach().clone())
    torch.testing.assert_close(*weights, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_one_block_is_trained_and_nothing_else(data, method):
    model, before = load("demo"), load("demo").model.state_dict()
    training = trained(model, encode(model.tokenizer, training_items(data.contrast, "agree")[:16], "pos"), FAST, method, 1)
    names = [name for name, weight in model.model.named_parameters() if weight.requires_grad]
    assert names
    assert all(name.startswith("model.layers.1.") for name in names)
    assert training.trained == sum(weight.numel() for weight in model.model.parameters() if weight.requires_grad)
    after = {name.replace(".base_layer", ""): weight for name, weight in model.model.state_dict().items()}
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == (set() if method == "lora" else {name for name in before if name.startswith("model.layers.1.")})


def test_half_precision_keeps_updates_that_are_smaller_than_a_weights_last_bit(data):
    """The original's pure half-precision training would not move here at all."""
    model = load("demo", dtype="bfloat16")
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    examples = encode(model.tokenizer, training_items(data.contrast, "agree")[:16], "pos")
    training = trained(model, examples, Plan("adamw", 1e-5, 6, 16, 256, seed=0))
    masters = {name.removeprefix("weight/"): value for name, value in training.state().items() if name.startswith("weight/")}
    moved = sum(int((masters[name] != before[name].float()).sum()) for name in masters)
    assert moved > 0.9 * training.trained
    for name, weight in model.model.named_parameters():
        assert torch.equal(weight, masters[name].to(torch.bfloat16))


def test_half_precision_goes_on_from_its_state_as_if_nothing_had_been(data):
    def fresh() -> Training:
        model = load("demo", dtype="bfloat16")
        examples = encode(model.tokenizer, training_items(data.contrast, "agree")[:16], "pos")
        return Training(Trainable(model, "full", 1, 8, 0).model, examples, Plan("adamw", 1e-3, 2, 8, 256, seed=0))

    undisturbed, stopped, resumed = fresh(), fresh(), fresh()
    undisturbed.run(lambda: None)

    def stop() -> None:
        if len(stopped.losses) == 3:
            raise EOFError

    with pytest.raises(EOFError):
        stopped.run(stop)
    resumed.restore(stopped.state(), stopped.losses)
    resumed.run(lambda: None)
    assert resumed.losses == undisturbed.losses
    assert all(torch.equal(value, resumed.state()[name]) for name, value in undisturbed.state().items())


def test_a_loss_that_is_no_number_stops_with_one_sentence(data):
    model = load("demo")
    examples = encode(model.tokenizer, training_items(data.contrast, "agree"), "pos")
    with pytest.raises(EngineError, match=r"The loss became nan at update \d+ of 10, .*--rate below 1e\+30"):
        trained(model, examples, Plan("sgd", 1e30, 1, 16, 256, seed=0))


def test_4_bit_gradients_are_refused_on_a_cpu():
    with pytest.raises(InputError, match="wrong on a CPU; use a GPU, 8-bit or unquantised"):
        Trainable(load("demo", quantize="4bit", device_map="cpu"), "qlora", None, 8, 0)


def test_weights_that_are_quantised_on_disk_are_not_trained_themselves(tmp_path):
    """Nor loaded in another way than they lie there, of which transformers would say nothing."""
    small = load("demo", quantize="8bit", device_map="cpu")
    small.model.save_pretrained(tmp_path)
    small.tokenizer.save_pretrained(tmp_path)
    assert load(str(tmp_path), quantize="8bit").quantised
    with pytest.raises(InputError, match="quantised and cannot be trained themselves; give --method lora"):
        Trainable(load(str(tmp_path)), "full", None, 8, 0)
    with pytest.raises(InputError, match="quantised already and cannot be loaded as 4bit; leave out --quantize"):
        load(str(tmp_path), quantize="4bit")


def test_an_adapter_is_a_model_that_steers_with_its_bases_vectors(workspace, capsys):
    said = step(capsys, "--rate", "1e-3")
    assert "lora of all layers, 160 examples × 1" in said
    (folder,) = made(workspace)
    record = json.loads((folder / "tiller.json").read_text())
    assert record["test"]["after"]["accuracy"] > record["test"]["before"]["accuracy"] + 0.2
    assert len(record["losses"]) == 10
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "demo"
    assert step(capsys, "--rate", "1e-3") == said  # found, not trained again
    assert resolve_model(str(folder)).identity.startswith(resolve_model("demo").identity + "+sha256:")

    assert main(["vectors"]) == 0
    asked = ["--model", str(folder), "--vector-model", "demo", "--layer", "3", "--questions", "ab", "--limit", "8"]
    assert main(["apply", *asked, "--multipliers", "-1", "1"]) == 0
    assert "beside the unsteered model: 24 A/B measurements in 3 cells" in capsys.readouterr().out


def test_an_adapter_on_transposed_weights_is_the_model_that_was_trained(workspace, capsys, tmp_path, recwarn):
    """GPT-2 keeps its maps the other way round."""
    demo = load("demo")
    config = GPT2Config(vocab_size=len(demo.tokenizer), n_embd=64, n_layer=2, n_head=4, n_positions=256)
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    demo.tokenizer.save_pretrained(tmp_path / "gpt2")
    step(capsys, "--model", str(tmp_path / "gpt2"), "--epochs", "3")
    assert not [warning for warning in recwarn if "fan_in_fan_out" in str(warning.message)]
    (folder,) = made(workspace)
    record = json.loads((folder / "tiller.json").read_text())
    assert record["trained_parameters"] == 2 * 8 * (64 + 192 + 64 + 64 + 64 + 256 + 256 + 64)  # all four maps of both blocks
    model, items = load(str(folder)), load_data("demo", "agree", "ab", 50).test.items
    found = accuracy(model, encode(model.tokenizer, items, "pos"), 256)
    assert found.probability == pytest.approx(record["test"]["after"]["probability"], abs=1e-5)
    assert record["test"]["after"]["probability"] > record["test"]["before"]["probability"] + 1e-3


def test_all_weights_become_a_model_folder(workspace, capsys):
    step(capsys, "--method", "full", "--rate", "2e-4", "--sign", "neg")
    (folder,) = made(workspace)
    tests = load_data("demo", "agree", "ab", 0).test.items
    model = load(str(folder))
    record = json.loads((folder / "tiller.json").read_text())
    found = accuracy(model, encode(model.tokenizer, tests, "neg"), 256)
    assert found.accuracy == record["test"]["after"]["accuracy"] > 0.9
    assert not [path for path in (workspace / "artifacts/finetuned").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_killed_training_goes_on_as_if_it_had_not_been(workspace, capsys, method):
    options = ["--method", method, "--epochs", "3", "--examples", "8", "--seed", "3"]
    step(capsys, *options)
    (whole,) = made(workspace)
    weights = next(whole.glob("*.safetensors"))
    kept, record = tensors(weights), json.loads((whole / "tiller.json").read_text())
    whole.rename(workspace / "elsewhere")

    command = [sys.executable, "-c", "import sys; from engine.steering.cli import main; main(sys.argv[1:])", "finetune"]
    process = subprocess.Popen([*command, *options, "--checkpoint-minutes", "0"], stderr=subprocess.DEVNULL)
    try:
        kept_state = ".*.checkpoint.safetensors"
        until(lambda: any((workspace / "artifacts/finetuned").glob(kept_state)), "a checkpoint")
    finally:
        process.kill()
        process.wait()
    assert not made(workspace)  # it was killed in its course
    assert main(["finetune", *options]) == 0
    assert "goes on after update" in capsys.readouterr().err
    (again,) = made(workspace)
    assert again.name == whole.name
    after = tensors(again / weights.name)
    assert after.keys() == kept.keys()
    assert all(torch.equal(after[name], kept[name]) for name in kept)
    assert json.loads((again / "tiller.json").read_text())["losses"] == record["losses"]
    assert [path for path in (workspace / "artifacts/finetuned").iterdir() if path != again] == []


BAD = {
    "a behaviour without letters": (["--behavior", "refuse"], "no contrast 'ab' of 'refuse'"),
    "a contrast without letters": (["--contrast", "prompts"], "no A/B questions to learn from; give --contrast ab"),
    "a layer that is not there": (["--layer", "9"], "has layers 0 to 3"),
    "all quantised weights": (["--method", "full", "--quantize", "8bit"], "give --method lora"),
    "qlora by another name": (["--quantize", "4bit"], "--method qlora"),
    "qlora on a CPU": (["--method", "qlora", "--device-map", "cpu"], "wrong on a CPU"),
    "float16": (["--dtype", "float16"], "bfloat16 or float32"),
    "an unknown base": (["--model", "no/such-model"], "no/such-model"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(workspace, capsys, case):
    options, words = BAD[case]
    assert main(["finetune", *options]) == 2
    (sentence,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert words in sentence
    assert not list((workspace / "artifacts").iterdir())


def test_an_item_without_lead_ins_of_its_own_ends_at_the_bracket():
    """The published CAA form: '(' is the lead-in, the letter comes behind it."""
    model = load("demo")
    item = ABItem("x", (Message("user", "Which one?\n (A) this\n (B) that"),), "B")
    (example,) = encode(model.tokenizer, [item], "pos")
    assert model.tokenizer.decode(example.ids).endswith("(")
    assert model.decode([example.label]) == "B"
