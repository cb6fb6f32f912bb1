"""What identifies a pair of models before it is loaded, which options go together, and when two names are one load."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tokenizers import AddedToken
from transformers import LlamaConfig, LlamaForCausalLM

from engine.cd.pairs.opening import PairSource, open_pair, pair_source
from engine.cd.pairs.pair import Pair
from engine.cd.prompts.asked import asked_prompt, encode
from engine.cd.settings import PairSettings, TextSettings
from engine.errors import InputError
from engine.identity import resolve_model
from engine.models import load
from engine.store import save_tensors

LAYERS = (1, 3)


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TILLER_WORKSPACE", str(tmp_path))
    return tmp_path


def source(**options) -> PairSource:
    return pair_source(TextSettings(**options))


def opened(**options) -> Pair:
    wanted = TextSettings(**options)
    return open_pair(pair_source(wanted), wanted)


def vectors(folder: Path, name: str = "v.safetensors", chosen: int | None = 1, kind: str = "stream", width: int = 128) -> Path:
    """A vectors file as `tiller steer` writes it."""
    torch.manual_seed(0)
    tensors = {f"{kind}.{layer}": torch.randn(width) for layer in LAYERS}
    norms = {site: float(vector.norm()) for site, vector in tensors.items()}
    header = {"hidden_size": width, "norms": norms, "choice": None if chosen is None else {"layer": chosen}, "shuffled": 0}
    save_tensors(folder / name, tensors, header)
    return folder / name


def steered(path: Path, **options) -> dict:
    return {"steered": "starting", "vectors_file": str(path)} | options


# --- before anything loads ---


def test_a_source_needs_no_torch():
    code = (
        "import sys; from engine.cd.pairs.opening import pair_source; from engine.cd.settings import TextSettings\n"
        "settings = TextSettings(); settings.key(**pair_source(settings).inputs())\n"
        "assert not {'torch', 'transformers', 'numpy'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_key_stands_for_weights_not_for_names(tmp_path):
    shutil.copytree(Path(resolve_model("demo").location), tmp_path / "copy")
    settings = TextSettings()
    named = settings.key(**source(starting="demo").inputs())
    copied = settings.key(**source(starting=str(tmp_path / "copy")).inputs())
    assert named == copied
    assert settings.key(**source(starting="demo-base").inputs()) != named
    swapped = source(starting="demo-base", comparison="demo")
    assert settings.key(**swapped.inputs()) != named


def test_a_key_stands_for_the_vectors_content(tmp_path):
    one, same = vectors(tmp_path, "a.safetensors"), vectors(tmp_path, "b.safetensors")
    other = vectors(tmp_path, "c.safetensors", chosen=3)
    assert source(**steered(one)).inputs() == source(**steered(same)).inputs()
    assert source(**steered(one)).inputs() != source(**steered(other)).inputs() != source().inputs()


def test_facts_are_what_a_reader_wants_to_know(tmp_path):
    facts = source(**steered(vectors(tmp_path))).facts()
    assert facts["starting"]["name"] == "demo"
    assert facts["comparison"] == {"name": "demo-base", "identity": resolve_model("demo-base").identity}
    assert facts["vectors"]["file"] == "v.safetensors"
    assert facts["vectors"]["layer"] == 1
    json.dumps(facts)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steered": "starting"}, "--vectors-file"),
        ({"vectors_file": "v.safetensors"}, "--steered"),
        ({"layer": 1}, "--layer"),
        ({"multiplier": 2.0}, "--multiplier"),
        ({"positions": "all"}, "--positions"),
        ({"steered": "starting", "vectors_file": "v.safetensors", "positions": "from_marker"}, "from_marker"),
        ({"steered": "starting", "vectors_file": "none.safetensors"}, "no vectors file"),
        ({"steered": "starting", "vectors_file": "v.safetensors", "layer": 2}, "at layer 2; give --layer, one of 1, 3"),
        ({"legacy_interpolation": True}, "--interpolate"),
        ({"interpolate": 0.5, "comparison": "demo"}, "the same weights"),
        ({"starting_prefix": " "}, "--starting-prefix is empty"),
        ({"comparison_prefix": ""}, "--comparison-prefix is empty"),
        ({"comparison_context": "last_token", "comparison_prefix": "Be kind."}, "--comparison-prefix would be lost"),
        ({"comparison": "no such model"}, "no such model"),
        ({"beam_groups": 2}, "--num-beams"),
        ({"length_penalty": 0.5}, "--num-beams"),
        ({"num_beams": 3}, "--samples 4"),
        ({"num_beams": 4, "beam_groups": 3, "diversity_penalty": 1.0}, "divides"),
        ({"num_beams": 4, "beam_groups": 2}, "--diversity-penalty"),
        ({"num_beams": 4, "diversity_penalty": 0.5}, "--beam-groups"),
        ({"num_beams": 4, "temperature": 0.5}, "--temperature"),
        ({"num_beams": 4, "top_p": 0.5}, "--top-p"),
        ({"comparison_weight": 1.0}, "--comparison-weight 1"),
    ],
)
def test_what_contradicts_itself_is_said_in_one_sentence(tmp_path, options, said):
    vectors(tmp_path)
    with pytest.raises(InputError) as caught:
        source(**options)
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_number_of_beams_is_two_or_more():
    with pytest.raises(ValidationError):
        TextSettings(num_beams=1)


def test_a_layer_is_needed_where_none_was_chosen(tmp_path):
    with pytest.raises(InputError, match="give --layer, one of 1, 3"):
        source(**steered(vectors(tmp_path, chosen=None)))
    assert source(**steered(vectors(tmp_path, chosen=None), layer=3)).layer == 3
    with pytest.raises(InputError, match="no vectors of the residual stream"):
        source(**steered(vectors(tmp_path, kind="mlp"), layer=3))


def test_vectors_of_another_width_are_refused(tmp_path):
    with pytest.raises(InputError, match="24 wide"):
        opened(**steered(vectors(tmp_path, width=24)))


# --- loads ---


def test_the_same_weights_are_loaded_once(tmp_path):
    shutil.copytree(Path(resolve_model("demo").location), tmp_path / "copy")
    pair = opened(comparison=str(tmp_path / "copy"), starting_prefix="Be kind.")
    assert pair.starting.model is pair.comparison.model
    assert opened(comparison="demo-base").starting.model.name == "demo"


def test_each_member_is_quantised_on_its_own():
    pair = opened(comparison="demo", comparison_quantize="8bit")
    assert not pair.starting.model.quantised
    assert pair.comparison.model.quantised


def test_the_number_type_is_both_members(tmp_path):
    pair = opened(dtype="bfloat16")
    assert {member.model.model.dtype for member in (pair.starting, pair.comparison)} == {torch.bfloat16}


def test_an_identity_stands_for_what_is_done_to_the_models(tmp_path):
    path = vectors(tmp_path)
    changes = [
        {},
        {"comparison": "demo"},
        {"interpolate": 0.5},
        {"interpolate": 0.5, "legacy_interpolation": True},
        {"starting_quantize": "8bit"},
        steered(path),
        steered(path, multiplier=2.0),
        steered(path, steered="comparison"),
    ]
    assert len({opened(**change).identity for change in changes}) == len(changes)
    assert opened(starting_device_map="cpu").identity == opened().identity


# --- tokenizers ---


def folder(path: Path, rows: int = 1024, added: tuple[str, ...] = (), renamed: dict[str, str] | None = None) -> str:
    """A tiny random model that has the demo's tokenizer, or nearly, and so many rows of embeddings."""
    config = LlamaConfig(
        vocab_size=rows, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, eos_token_id=2
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer = load("demo").tokenizer
    tokenizer.save_pretrained(path)
    if renamed:
        content = json.loads((path / "tokenizer.json").read_text())
        vocabulary = content["model"]["vocab"]
        content["model"]["vocab"] = {renamed.get(token, token): number for token, number in vocabulary.items()}
        content["model"]["merges"] = []
        (path / "tokenizer.json").write_text(json.dumps(content))
    if added:
        changed = type(tokenizer).from_pretrained(path)
        changed.add_tokens([AddedToken(token, special=True) for token in added])
        changed.save_pretrained(path)
    return str(path)


def test_rows_of_padding_are_cut_on_either_side(tmp_path):
    wide = folder(tmp_path / "wide", rows=1088)
    assert opened(comparison=wide).vocabulary == opened(starting=wide, comparison="demo").vocabulary == 1024
    assert opened(starting=wide, comparison=wide).vocabulary == 1024


def test_tokens_that_one_model_has_more_are_cut_and_cannot_be_shown(tmp_path):
    more = folder(tmp_path / "more", rows=1026, added=("<|tool|>",))
    pair = opened(starting=more)
    assert pair.vocabulary == 1024
    with pytest.raises(InputError, match=r"<\|tool\|>"):
        encode(pair, asked_prompt("Use <|tool|> now"), PairSettings(form="text"))
    assert encode(pair, asked_prompt("Use it now"), PairSettings()).shared > 3


def test_an_end_that_only_one_model_knows_is_told(tmp_path, capsys):
    more = folder(tmp_path / "more", rows=1026, added=("<|tool|>",))
    for name in ("config.json", "generation_config.json"):
        content = json.loads((tmp_path / "more" / name).read_text())
        (tmp_path / "more" / name).write_text(json.dumps(content | {"eos_token_id": 1024}))
    content = json.loads((tmp_path / "more" / "tokenizer_config.json").read_text())
    (tmp_path / "more" / "tokenizer_config.json").write_text(json.dumps(content | {"eos_token": "<|tool|>"}))
    opened(starting=more, comparison=more)
    assert capsys.readouterr().err == ""
    narrow = tmp_path / "narrow"
    shutil.copytree(more, narrow)
    network = LlamaForCausalLM.from_pretrained(narrow)
    network.resize_token_embeddings(1024)
    network.generation_config.eos_token_id = network.config.eos_token_id = 1024
    network.save_pretrained(narrow)
    opened(starting=more, comparison=str(narrow))
    assert "texts end at their full length" in capsys.readouterr().err


def test_different_tokens_are_refused_by_their_strings_before_anything_loads(tmp_path):
    other = folder(tmp_path / "other", renamed={"Ġthe": "Ġder"})
    (tmp_path / "other" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"token \d+ is 'Ġthe' in the first and 'Ġder' in the second"):
        opened(comparison=other)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> str:
    """An adapter of the demo's base model, without a tokenizer of its own."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    lora = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)  # pyright: ignore
    path = tmp_path_factory.mktemp("adapter")
    get_peft_model(load("demo-base").model, lora).save_pretrained(path)
    config = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "demo-base"}))
    return str(path)


def test_an_adapter_is_compared_and_mixed_with_its_base_model(adapter):
    ids = torch.tensor([[1, 4, 436, 345, 391, 2, 5]])

    def logits(**options) -> list[torch.Tensor]:
        pair = opened(starting=adapter, **options)
        with torch.inference_mode():
            return [member.model.model(ids).logits for member in (pair.starting, pair.comparison)]

    assert source(starting=adapter).tokenizer().get_vocab() == load("demo-base").tokenizer.get_vocab()
    adapted, base = logits()
    assert not torch.allclose(adapted, base, atol=0.1)
    half, _ = logits(interpolate=0.5)
    assert not torch.allclose(half, adapted, atol=1e-3)
    whole, _ = logits(interpolate=1.0)
    torch.testing.assert_close(whole, base, atol=1e-5, rtol=1e-4)
