"""Folding an edit into weights: a model that gives the steered logits without a hook, so that any server can serve it.

    o = W·x + b   is what a sublayer's last projection adds to the stream. Then
    o + v                            = W·x + (b + v)
    o + (at − ⟨r, o⟩)·d              = (W − d·rᵀW)·x + (b + at·d − ⟨r, b⟩·d)        (specs/steering.md §4.1)

and adding v to the stream after a block is adding it to what its MLP puts out. Both hold at every position, so the rule must be
`all`. Owns the table of projections, this arithmetic and the refusals; it reads no files.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from engine.edits import Arm, Edit, Edits, Slide, Transport
from engine.errors import InputError
from engine.families import Site
from engine.models import LoadedModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_HOOKS = "steer it with hooks (`tiller steer apply`)"


@dataclass(frozen=True, slots=True)
class Projections:
    """Paths of the last projections, from a block on. `switches` are the config fields that give them biases where they have
    none; in a `parallel` block attention's output reaches nothing before it is added, so that its bias may lie in the MLP's."""

    attn: str
    mlp: str
    attn_switch: str | None = None
    mlp_switch: str | None = None
    parallel: bool = False


_LLAMA_LIKE = ("self_attn.o_proj", "mlp.down_proj")
PROJECTIONS = {
    "llama": Projections(*_LLAMA_LIKE, attn_switch="attention_bias", mlp_switch="mlp_bias"),
    "qwen3": Projections(*_LLAMA_LIKE, attn_switch="attention_bias"),
    "gemma": Projections(*_LLAMA_LIKE, attn_switch="attention_bias"),
    "mistral": Projections(*_LLAMA_LIKE),
    "qwen2": Projections(*_LLAMA_LIKE),
    "phi3": Projections(*_LLAMA_LIKE),
    "gpt2": Projections("attn.c_proj", "mlp.c_proj"),
    "gptj": Projections("attn.out_proj", "mlp.fc_out", parallel=True),
    "gpt_neox": Projections("attention.dense", "mlp.dense_4h_to_h", attn_switch="attention_bias"),
    "opt": Projections("self_attn.out_proj", "fc2"),
    "phi": Projections("self_attn.dense", "mlp.fc2", parallel=True),
}
"""By transformers' `model_type`. Gemma 2 and 3 are left out: nothing folds through the norms behind their sublayers."""


@torch.no_grad()
def fold(model: LoadedModel, arm: Arm) -> PreTrainedModel:
    """A model with the arm's edits in its weights: to be saved, not run. What is not changed it shares with `model`."""
    network = model.model
    if model.quantised:
        raise InputError(f"The weights of {model.name} are quantised, so nothing can be folded in; fold into unquantised ones.")
    table = _projections(model)
    state = dict(network.state_dict())
    biases: dict[str, Tensor] = {}  # float64, by projection: several edits may meet in one
    switches: set[str] = set()
    for site, edit in sorted(arm.items()):
        path, bias_path, switch = _places(model, table, site)
        projection = network.get_submodule(path)
        if isinstance(edit, Tensor):
            change = edit.double()
        elif isinstance(edit, Slide) and site.kind != "stream":
            state[f"{path}.weight"], change = _slid(projection, edit)
        else:
            raise _unfoldable(site, edit)
        before = biases.get(bias_path, _bias(network.get_submodule(bias_path)))
        biases[bias_path] = before + change.to(before.device)
        switches.update({switch} if switch else ())
    state.update({f"{path}.bias": bias.to(network.dtype) for path, bias in biases.items()})
    return _with_weights(network, state, switches)


def steered_logits(model: LoadedModel, arm: Arm, ids: Tensor, valid: Tensor) -> Tensor:
    """What the folded model is held against: the arm as hooks, everywhere. ids, valid: [batch, seq], pads on the right →
    [batch, seq, vocab] float32, on the CPU."""
    edits = Edits(model, [arm])
    with edits.attached(), torch.inference_mode():
        edits.select(torch.zeros(len(ids), dtype=torch.int64))
        edits.aim(valid)
        return model.model(input_ids=ids.to(model.device), use_cache=False).logits.float().cpu()


def difference(folded: LoadedModel, steered: Tensor, ids: Tensor, valid: Tensor) -> float:
    """How far the logits of the folded model lie from the steered ones, at most, as a share of the largest of these."""
    own = steered_logits(folded, {}, ids, valid)
    return float((own - steered)[valid].abs().max() / steered[valid].abs().max().clamp(min=1.0))


def rounding(dtype: torch.dtype) -> float:
    """The `difference` that the rounding of weights to this type explains."""
    return {torch.float32: 1e-4, torch.float16: 1e-2}.get(dtype, 5e-2)


def _projections(model: LoadedModel) -> Projections:
    kind = model.model.config.model_type
    if "gemma2" in kind or "gemma3" in kind:
        raise InputError(f"{model.name} has norms behind its sublayers, through which nothing can be folded; {_HOOKS}.")
    if kind not in PROJECTIONS:
        raise InputError(f"Folding knows no projections of models of type '{kind}' ({model.name}); {_HOOKS}.")
    return PROJECTIONS[kind]


def _places(model: LoadedModel, table: Projections, site: Site) -> tuple[str, str, str | None]:
    """The projection whose output the site is, where a bias is added to it, and the config field that this needs."""
    model.module(site)  # a layer out of range is refused
    block = f"{model.family.blocks}.{site.layer}"
    attn, mlp = f"{block}.{table.attn}", f"{block}.{table.mlp}"
    if site.kind == "stream" and not getattr(model.model.config, "do_layer_norm_before", True):
        raise InputError(f"{model.name} has a norm at the end of each block, so the stream cannot be folded into; {_HOOKS}.")
    path, switch = (attn, table.attn_switch) if site.kind == "attn" else (mlp, table.mlp_switch)
    if getattr(model.model.get_submodule(path), "bias", None) is not None:
        return path, path, None
    if switch is not None:
        return path, path, switch
    if site.kind == "attn" and table.parallel:
        return path, mlp, None
    other = " (at --site attn it can)" if site.kind != "attn" and table.attn_switch else ""
    raise InputError(
        f"Models of type '{model.model.config.model_type}' have no bias at {site.name} and none can be given to them, so "
        f"{model.name} cannot take the edit into its weights{other}; {_HOOKS}."
    )


def _slid(projection: nn.Module, edit: Slide) -> tuple[Tensor, Tensor]:
    """W − d·rᵀW in the projection's own layout and type, and what is added to its bias, float64."""
    weight, bias = projection.weight, _bias(projection)
    assert isinstance(weight, Tensor)
    direction, reader = edit.direction.to(bias), edit.reader.to(bias)
    rows = weight.T.double() if isinstance(projection, Conv1D) else weight.double()  # [hidden, inputs]
    rows = rows - torch.outer(direction, reader @ rows)
    rows = rows.T if isinstance(projection, Conv1D) else rows
    return rows.to(weight.dtype).contiguous(), (edit.at - reader @ bias) * direction


def _bias(projection: nn.Module) -> Tensor:
    """[hidden] float64; zeros where there is none."""
    weight, bias = projection.weight, projection.bias
    assert isinstance(weight, Tensor)
    if isinstance(bias, Tensor):
        return bias.double()
    return torch.zeros(weight.shape[0], dtype=torch.float64, device=weight.device)  # only Linear is without: [hidden, inputs]


def _unfoldable(site: Site, edit: Edit) -> InputError:
    if isinstance(edit, Transport):
        return InputError(f"A transport (quad, quadlda) is not folded into weights; give --edit leace or orth, or {_HOOKS}.")
    return InputError(
        f"At {site.name} only a plain addition can be folded, since no weight makes the stream; give --site attn, mlp or "
        f"sublayers, or --edit none."
    )


def _with_weights(network: PreTrainedModel, state: dict[str, Tensor], switches: set[str]) -> PreTrainedModel:
    """The same architecture with these weights; biases that the switches bring and nobody set are zero."""
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(network.config)
    for switch in switches:
        setattr(config, switch, True)
    with torch.device("meta"):
        shell: Any = AutoModelForCausalLM.from_config(config, dtype=network.dtype)
    for name, tensor in shell.state_dict().items():
        if name not in state and name.endswith(".bias"):
            state[name] = torch.zeros(tensor.shape, dtype=network.dtype)
    shell.load_state_dict(state, assign=True)
    shell.tie_weights()
    shell.generation_config = copy.deepcopy(network.generation_config)
    return shell
