"""What is trained: all weights, one block's, or a low-rank adapter on them (LoRA; on 4-bit weights QLoRA).

Owns which parameters get gradients, and how what was trained is written as a folder that `--model` takes. No loop here.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from engine.errors import InputError
from engine.models import LoadedModel, require_gradients
from engine.steering.tuning.settings import Method


class Trainable:
    """A loaded model whose chosen parameters require gradients."""

    def __init__(self, model: LoadedModel, method: Method, layer: int | None, rank: int, seed: int) -> None:
        require_gradients(model)
        if model.model.dtype == torch.float16:
            raise InputError(
                f"The weights of {model.name} are float16, in which small gradients vanish; give --dtype bfloat16 or float32."
            )
        if method == "full" and model.quantised:
            raise InputError(f"The weights of {model.name} are quantised and cannot be trained themselves; give --method lora.")
        if layer is not None and layer >= model.layers:
            raise InputError(
                f"Layer {layer} is out of range: {model.name} has layers 0 to {model.layers - 1}; give --layer one of them."
            )
        self.model = model
        self._adapted: Any = None
        if method == "full":
            trained = model.model if layer is None else model.blocks()[layer]
            trained.requires_grad_(True)
        else:
            self._adapted = _adapted(model, layer, rank, seed)

    def save(self, folder: Path, base: str, revision: str | None) -> None:
        """A model folder, or an adapter folder that names its base."""
        if self._adapted is None:
            self.model.model.save_pretrained(folder)
            self.model.tokenizer.save_pretrained(folder)
            return
        (config,) = self._adapted.peft_config.values()
        config.base_model_name_or_path, config.revision = base, revision
        self._adapted.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # peft's card is a form that nobody has filled in


def _adapted(model: LoadedModel, layer: int | None, rank: int, seed: int) -> Any:
    """The model with adapters beside every linear map of its blocks: put into it in place, first of no effect."""
    from peft import LoraConfig, get_peft_model

    within = f"{model.family.blocks}." if layer is None else f"{model.family.blocks}.{layer}."
    linear = {
        name: module
        for name, module in model.model.named_modules()
        if name.startswith(within) and isinstance(module, nn.Linear | Conv1D)
    }
    transposed = any(isinstance(module, Conv1D) for module in linear.values())
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(linear), fan_in_fan_out=transposed)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*base_model_name_or_path.*")
        warnings.filterwarnings("ignore", category=FutureWarning)  # peft asks transformers by an old name
        torch.manual_seed(seed)
        return get_peft_model(model.model, config)
