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
from engine.models import load, require_gradients
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


@pytest.fixture
def adapter(folder, tmp_path):
    """An adapter on the tiny Llama, as peft writes one: (its folder, the logits with it)."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base = load(str(folder), dtype="float32")
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = get_peft_model(base.model, config)  # pyright: ignore[reportArgumentType]
    adapted.save_pretrained(tmp_path / "adapter")
    with torch.inference_mode():
        return tmp_path / "adapter", adapted(IDS).logits


IDS = torch.tensor([[1, 2, 3, 4]])


def test_an_adapter_folder_is_its_base_with_the_change_merged(folder, adapter):
    path, wanted = adapter
    model = load(str(path), dtype="float32")
    with torch.inference_mode():
        torch.testing.assert_close(model.model(IDS).logits, wanted, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(load(str(folder), dtype="float32").model(IDS).logits, wanted, atol=1e-2)
    assert not [name for name, _ in model.model.named_modules() if "lora" in name]
    assert model.identity.startswith(resolve_model(str(folder)).identity + "+")


def test_an_adapter_lies_beside_quantised_weights_and_changes_them(adapter):
    path, _ = adapter
    model, other = load(str(path), quantize="8bit"), load(str(resolve_model(str(path)).base.location), quantize="8bit")  # pyright: ignore
    with torch.inference_mode():
        assert not torch.allclose(model.model(IDS).logits, other.model(IDS).logits, atol=1e-2)
    rows = [Row((1, 2, 3), arm=arm) for arm in range(2)]
    found = dict(generate(model, rows, Sampling(4, temperature=0), Steering([{}, {Site(1): torch.full((128,), 50.0)}])))
    assert found[0].ids != found[1].ids


def test_an_adapters_identity_follows_base_and_adapter_but_not_what_is_told_about_it(adapter):
    path, _ = adapter
    before = resolve_model(str(path)).identity
    (path / "tiller.json").write_text("{}")
    assert resolve_model(str(path)).identity == before
    weights = bytearray((path / "adapter_model.safetensors").read_bytes())
    weights[-1] ^= 1
    (path / "adapter_model.safetensors").write_bytes(bytes(weights))
    assert resolve_model(str(path)).identity != before


BROKEN_ADAPTERS = {
    "no JSON": ("{", "names no base model"),
    "no base": ('{"base_model_name_or_path": null}', "names no base model"),
    "a base that is nowhere": ('{"base_model_name_or_path": "no/such-model"}', "without its base model: .*no/such-model"),
}


@pytest.mark.parametrize("case", BROKEN_ADAPTERS)
def test_an_adapter_without_a_base_is_one_sentence(tmp_path, case):
    text, words = BROKEN_ADAPTERS[case]
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(InputError, match=words):
        load(str(tmp_path))


def test_an_adapter_of_another_architecture_is_one_sentence(adapter, folder):
    path, _ = adapter
    config = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "demo"}))
    with pytest.raises(EngineError, match="could not be put on demo: "):
        load(str(path))


def test_gradients_through_4_bit_weights_on_a_cpu_are_refused():
    require_gradients(load("demo"))
    with pytest.raises(InputError, match=r"4-bit weights of demo are wrong on a CPU; use a GPU, 8-bit or unquantised"):
        require_gradients(load("demo", quantize="4bit", device_map="cpu"))


def test_gradients_of_the_widths_that_the_4_bit_kernel_takes_are_refused_too(parity, tmp_path):
    """Hidden 256, MLP 704: where the library's gradients were seen to be garbage (specs/engine.md §1)."""
    shape = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 1, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=64, **shape)).save_pretrained(tmp_path)
    parity.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="wrong on a CPU"):
        require_gradients(load(str(tmp_path), quantize="4bit", device_map="cpu"))
