"""Where a model keeps its blocks, sublayers and heads: a declared table, open to the user.

Owns names inside models, nothing else: no torch here. A family that is missing is added with `register(Family(...))`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import InputError

SiteKind = Literal["stream", "attn", "mlp"]


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A place to read or steer: the output of block `layer` (the residual stream after it), or of one of its sublayers
    as it is added to the stream."""

    layer: int
    kind: SiteKind = "stream"

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.layer}"


@dataclass(frozen=True, slots=True)
class Family:
    """Dotted paths. `blocks` starts at the causal model; the others start at a block.

    `attn` and `mlp` are the modules whose outputs are added to the stream (for Gemma 2 and 3 that is the norm behind the
    sublayer). `heads` is the projection whose input holds the heads' outputs side by side. `norm` comes before the head, from
    the causal model on, `project` behind it where embeddings are narrower than the stream. `parallel`: attention and MLP read
    the same stream, so there is no stream between them; or the flag of the config that says so.
    """

    name: str
    model_types: tuple[str, ...]
    blocks: str = "model.layers"
    attn: str = "self_attn"
    mlp: str = "mlp"
    heads: str = "self_attn.o_proj"
    norm: str = "model.norm"
    project: str | None = None
    parallel: bool | str = False

    def path(self, site: Site) -> str:
        block = f"{self.blocks}.{site.layer}"
        return block if site.kind == "stream" else f"{block}.{self.attn if site.kind == 'attn' else self.mlp}"


_AFTER_NORM = {"attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}
_BUILT_IN = (
    Family("Llama", ("llama",)),
    Family("Mistral", ("mistral",)),
    Family("Qwen", ("qwen2", "qwen3")),
    Family("Gemma", ("gemma",)),
    Family("Gemma 2/3", ("gemma2", "gemma3_text"), **_AFTER_NORM),
    Family("GPT-2", ("gpt2",), blocks="transformer.h", attn="attn", heads="attn.c_proj", norm="transformer.ln_f"),
    Family(
        "GPT-J", ("gptj",), blocks="transformer.h", attn="attn", heads="attn.out_proj", norm="transformer.ln_f", parallel=True
    ),
    Family(
        "GPT-NeoX",
        ("gpt_neox",),
        blocks="gpt_neox.layers",
        attn="attention",
        heads="attention.dense",
        norm="gpt_neox.final_layer_norm",
        parallel="use_parallel_residual",
    ),
    Family(
        "OPT",
        ("opt",),
        blocks="model.decoder.layers",
        mlp="fc2",
        heads="self_attn.out_proj",
        norm="model.decoder.final_layer_norm",
        project="model.decoder.project_out",
    ),
    Family("Phi", ("phi",), heads="self_attn.dense", norm="model.final_layernorm", parallel=True),
    Family("Phi-3", ("phi3",)),
)
_families: dict[str, Family] = {}


def register(family: Family) -> None:
    """Add a family, or replace how its model types are read."""
    _families.update(dict.fromkeys(family.model_types, family))


def family_of(model_type: str, model_name: str) -> Family:
    """The family of a transformers `model_type`; the error names the model, the type and the mend."""
    if model_type not in _families:
        known = ", ".join(sorted(_families))
        raise InputError(
            f"Model {model_name} is of type '{model_type}', which tiller's table of families lacks (it has {known}); "
            "add it with engine.families.register(Family(...))."
        )
    return _families[model_type]


for _family in _BUILT_IN:
    register(_family)
