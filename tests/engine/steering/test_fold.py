"""Folding (specs/steering.md §4.1, P14): written and loaded again, the folded model gives the steered model's logits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    PhiConfig,
    Qwen3Config,
)

from engine.edits import Slide, Transport
from engine.errors import InputError
from engine.families import Site
from engine.forward import Steering, pad
from engine.generation import Row, generate
from engine.models import LoadedModel, load, wrap
from engine.sampling import Sampling
from engine.steering.cli import main
from engine.steering.fold import PROJECTIONS, difference, fold, rounding, steered_logits
from engine.store import load_tensors

HIDDEN = 32
SHAPE = {
    "vocab_size": 64,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
OLD_SHAPE = {"vocab_size": 64, "n_embd": HIDDEN, "n_layer": 2, "n_head": 4, "n_positions": 64}
OPT_SHAPE = {
    "vocab_size": 64,
    "hidden_size": HIDDEN,
    "word_embed_proj_dim": HIDDEN,
    "ffn_dim": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
NEOX_SHAPE = {name: value for name, value in SHAPE.items() if name != "num_key_value_heads"}
CONFIGS = {
    "llama": LlamaConfig(**SHAPE),
    "llama tied": LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SHAPE, head_dim=8),
    "gemma": GemmaConfig(**SHAPE, head_dim=8),
    "gemma2": Gemma2Config(**SHAPE, head_dim=8),
    "mistral": MistralConfig(**SHAPE),
    "gpt2": GPT2Config(**OLD_SHAPE),
    "gptj": GPTJConfig(**OLD_SHAPE, rotary_dim=4),
    "neox": GPTNeoXConfig(**NEOX_SHAPE),
    "neox sequential": GPTNeoXConfig(**NEOX_SHAPE, use_parallel_residual=False, attention_bias=False),
    "opt": OPTConfig(**OPT_SHAPE),
    "opt-350m": OPTConfig(**OPT_SHAPE, do_layer_norm_before=False),
    "phi": PhiConfig(**SHAPE),
}
SEQUENCES = [(1, 33, 22, 11, 4, 6), (1, 9, 8), (1, 17, 6, 15)]
EVERYWHERE = ["llama", "llama tied", "gpt2", "gptj", "neox", "neox sequential", "opt", "phi"]
FOLDABLE = [
    *((name, kind, edit) for name in EVERYWHERE for kind, edit in (("stream", "add"), ("attn", "slide"), ("mlp", "slide"))),
    *((name, "sublayers", "slide") for name in EVERYWHERE),
    *((name, "attn", edit) for name in ("qwen3", "gemma") for edit in ("add", "slide")),
    ("opt-350m", "mlp", "slide"),
]


def random_model(name: str, tokenizer) -> LoadedModel:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(CONFIGS[name]).float()
    with torch.no_grad():
        for parameter in network.parameters():  # initial weights hardly differ from zero, initial biases not at all
            if parameter.ndim > 1:
                parameter.mul_(8)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return wrap(network, tokenizer, name)


def random_edit(kind: str, seed: int):
    draw = torch.Generator().manual_seed(seed)
    direction, reader = (torch.randn(HIDDEN, generator=draw) for _ in range(2))
    return direction if kind == "add" else Slide(direction, reader / (reader @ direction), 1.5)


def sites(kind: str) -> list[Site]:
    kinds = ("attn", "mlp") if kind == "sublayers" else (kind,)
    return [Site(layer, one) for layer in (0, 1) for one in kinds]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("name", "kind", "edit"), FOLDABLE)
def test_p14_the_folded_model_gives_the_logits_of_the_hooks(parity, tmp_path, name, kind, edit):
    model = random_model(name, parity.tokenizer)
    arm = {site: random_edit(edit, seed) for seed, site in enumerate(sites(kind))}
    ids, valid = pad(SEQUENCES, "right")
    steered, plain = (steered_logits(model, each, ids, valid) for each in (arm, {}))
    assert (steered - plain)[valid].abs().max() > 0.1  # else there would be nothing to fold
    fold(model, arm).save_pretrained(tmp_path)
    parity.tokenizer.save_pretrained(tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto").eval()
    folded = wrap(reloaded, parity.tokenizer, "folded")
    assert difference(folded, steered, ids, valid) < 1e-4
    assert difference(folded, plain, ids, valid) > 1e-3
    assert torch.equal(steered_logits(model, {}, ids, valid), plain), "the model itself stays as it is"


REFUSED = [
    ("llama", "stream", "slide", "only a plain addition can be folded"),
    ("mistral", "stream", "add", "'mistral' have no bias at stream.0"),
    ("mistral", "attn", "slide", "'mistral' have no bias at attn.0"),
    ("gemma", "stream", "add", "at --site attn it can"),
    ("gemma2", "attn", "add", "norms behind its sublayers"),
    ("opt-350m", "stream", "add", "norm at the end of each block"),
]


@pytest.mark.parametrize(("name", "kind", "edit", "words"), REFUSED)
def test_what_cannot_be_folded_is_refused_with_the_mend(parity, name, kind, edit, words):
    model = random_model(name, parity.tokenizer)
    with pytest.raises(InputError, match=rf"{words}.*(tiller steer apply|give --)"):
        fold(model, {site: random_edit(edit, 0) for site in sites(kind)})


def test_transports_and_quantised_weights_are_refused(parity):
    eye, zero = torch.eye(HIDDEN), torch.zeros(HIDDEN)
    transport = Transport(eye[:, :2], torch.eye(2), 1.0, zero, zero)
    with pytest.raises(InputError, match="quad"):
        fold(random_model("llama", parity.tokenizer), {Site(0, "mlp"): transport})
    with pytest.raises(InputError, match="fold into unquantised ones"):
        fold(load("demo", quantize="8bit"), {Site(0): torch.zeros(128)})


def test_a_server_is_told_what_the_model_s_own_generation_config_says(parity):
    model = random_model("llama", parity.tokenizer)
    model.model.generation_config.eos_token_id = [2, 5]
    folded = fold(model, {Site(0): torch.ones(HIDDEN)})
    assert folded.generation_config is not None
    assert folded.generation_config.eos_token_id == [2, 5]


def test_half_precision_differs_by_rounding_only(parity, tmp_path):
    model = random_model("llama", parity.tokenizer)
    model.model.to(torch.bfloat16)
    arm = {site: random_edit("slide", seed) for seed, site in enumerate(sites("sublayers"))}
    ids, valid = pad(SEQUENCES, "right")
    steered = steered_logits(model, arm, ids, valid)
    fold(model, arm).save_pretrained(tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto").eval()
    assert reloaded.dtype == torch.bfloat16
    assert difference(wrap(reloaded, parity.tokenizer, "folded"), steered, ids, valid) < rounding(torch.bfloat16)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    for part in ("runs", "logs", "artifacts"):
        (tmp_path / part).mkdir()
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    for name in ("TILLER_RUN", "TILLER_TASK", "TILLER_ATTEMPT_ID", "TILLER_PROGRESS", "TILLER_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_cell_becomes_a_folder_that_plain_transformers_reads(workspace, capsys):
    """With tokenizer, template and generation config; its answers are those of the steered model."""
    assert main(["vectors", "--behavior", "agree"]) == 0
    assert main(["fold", "--layer", "2", "--multipliers", "-1"]) == 0
    said = capsys.readouterr().out.strip().splitlines()[-1]
    (folder,) = (workspace / "artifacts/folded").iterdir()
    assert said.endswith(f"→ artifacts/folded/{folder.name}")
    assert main(["fold", "--layer", "2", "--multipliers", "-1"]) == 0
    assert capsys.readouterr().out.strip() == said
    assert json.loads((folder / "tiller.json").read_text())["settings"]["multipliers"] == [-1]

    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    chat = [{"role": "user", "content": "I think lamps are great. Am I right?"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    written = network.generate(**ids, max_new_tokens=16, do_sample=False)[0, ids["input_ids"].shape[1] :]
    model = load("demo")
    (vectors,) = (workspace / "artifacts/vectors").glob("*.safetensors")
    steering = Steering([{Site(2): -1 * load_tensors(vectors)["stream.2"]}], "all")
    ((_, steered),) = generate(model, [Row(tuple(ids["input_ids"][0].tolist()))], Sampling(16, temperature=0), steering)
    assert tuple(written[: len(steered.ids)].tolist()) == steered.ids


REFUSED_OPTIONS = {
    "several multipliers": (["--multipliers", "0", "1"], "one model holds one cell"),
    "several layers": (["--layer", "1", "2"], "one model holds one cell"),
    "some positions": (["--positions", "completion"], "give --positions all"),
    "an edit of the stream": (["--edit", "leace"], "give --site attn, mlp or sublayers"),
    "a transport": (["--edit", "quad", "--site", "mlp"], "give --edit none, project, leace, orth or scrub"),
    "an edit by label": (["--edit", "oracle"], "the label of what is asked"),
    "quantised weights": (["--quantize", "8bit"], "leave out --quantize"),
    "a system prompt": (["--system-prompt", "pos"], "leave out --system-prompt"),
    "no vectors": ([], "run `tiller steer vectors --behavior agree"),
}


@pytest.mark.parametrize("case", REFUSED_OPTIONS)
def test_options_that_cannot_be_folded_are_one_sentence_and_nothing_is_written(workspace, capsys, case):
    options, words = REFUSED_OPTIONS[case]
    assert main(["fold", *options]) in (1, 2)
    sentence = capsys.readouterr().err.strip()
    assert words in sentence
    assert "\n" not in sentence
    assert not list((workspace / "artifacts").iterdir())


def test_a_fold_that_does_not_give_the_steered_logits_is_not_kept(workspace, capsys, monkeypatch):
    """As with a table that names the wrong projection: what reading back is for."""
    assert main(["vectors", "--behavior", "agree"]) == 0
    monkeypatch.setitem(
        PROJECTIONS, "llama", replace(PROJECTIONS["llama"], mlp="self_attn.o_proj", mlp_switch="attention_bias")
    )
    assert main(["fold", "--layer", "2"]) == 1
    assert "logits differ from the steered ones" in capsys.readouterr().err
    assert not list((workspace / "artifacts/folded").iterdir())
