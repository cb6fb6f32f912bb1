"""Loading by name, and what is said when that fails."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.errors import EngineError, InputError
from engine.families import Site
from engine.forward import Steering
from engine.generation import Row, generate
from engine.identity import resolve_model
from engine.models import load
from engine.sampling import Sampling


@pytest.fixture(scope="module")
def folder(parity, tmp_path_factory):
    """A tiny Llama on disk, in bfloat16, of widths that the 4-bit kernel takes."""
    path = tmp_path_factory.mktemp("model") / "tiny"
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    parity.tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize("quantize", [None, "8bit", "4bit"])
def test_a_folder_loads_and_steers_quantised_or_not(folder, quantize):
    model = load(str(folder), quantize=quantize)
    rows = [Row((1, 2, 3), arm=arm) for arm in range(2)]
    steering = Steering([{}, {Site(1): torch.full((128,), 50.0)}])
    found = dict(generate(model, rows, Sampling(4, temperature=0), steering, stop_ids=frozenset()))
    assert found[0].ids != found[1].ids
    assert model.model.dtype == torch.bfloat16
    assert not any(parameter.requires_grad for parameter in model.model.parameters())


def test_widths_that_the_fast_4_bit_kernel_cannot_take_load_too():
    model = load("demo", quantize="4bit")  # its MLP is 352 wide, which 64 does not divide
    (_, written), *_ = generate(model, [Row((1, 2, 3))], Sampling(2, temperature=0), stop_ids=frozenset())
    assert len(written.ids) == 2


def test_dtype_and_demo_precision(folder):
    assert load(str(folder), dtype="float32").model.dtype == torch.float32
    assert load("demo").model.dtype == torch.float32


def test_the_identity_follows_the_weights_not_the_place(folder, tmp_path):
    here = resolve_model(str(folder))
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert resolve_model(str(copy)).identity == here.identity
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(weights))
    assert resolve_model(str(copy)).identity != here.identity


def test_demo_and_demo_base_are_two_models():
    assert resolve_model("demo").identity != resolve_model("demo-base").identity


@pytest.mark.parametrize("name", ["no/such-model", "/no/such/folder", "nothing"])
def test_a_missing_model_is_named_with_places_and_mend(name):
    with pytest.raises(InputError, match=rf"{name}.*'demo', 'demo-base', a folder"):
        load(name)


def test_a_folder_without_config_and_an_unknown_type_are_named(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bloom"}))
    with pytest.raises(EngineError, match=r"'bloom'.*register"):
        load(str(tmp_path))


def test_broken_weights_are_one_sentence(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(EngineError, match=r"could not be loaded: "):
        load(str(tmp_path))


def test_missing_demo_weights_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.demo.weights.SHIPPED", tmp_path)
    with pytest.raises(EngineError, match="weights of model demo are missing"):
        load("demo")
