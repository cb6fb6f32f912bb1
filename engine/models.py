"""Loading a causal language model, by name, into what every method works on.

Owns loading, quantisation and placement, and finding a family's modules inside a model. It knows no method. Weights come from
safetensors or from `weights_only` checkpoints; code from a model's repository is never run.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from engine.errors import EngineError, InputError
from engine.families import Family, Site, SiteKind, family_of
from engine.identity import ModelSource, resolve_model
from engine.keys import find_key

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # it tells whoever imports it of a missing speed-up

Quantization = Literal["8bit", "4bit"]
DType = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode with frozen weights, its tokenizer, and where its parts are."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    family: Family
    identity: str

    @property
    def layers(self) -> int:
        return len(self.blocks())

    @property
    def hidden_size(self) -> int:
        return self.model.config.get_text_config().hidden_size

    @property
    def quantised(self) -> bool:
        """Whether its weights are, by `quantize` or as they lie on disk."""
        return getattr(self.model, "quantization_method", None) is not None

    @property
    def device(self) -> torch.device:
        """Where token ids go in."""
        return module_device(self.model.get_input_embeddings())

    def blocks(self) -> nn.ModuleList:
        blocks = self.model.get_submodule(self.family.blocks)
        assert isinstance(blocks, nn.ModuleList)
        return blocks

    def module(self, site: Site) -> nn.Module:
        """The module whose output is read or steered at `site`."""
        if not 0 <= site.layer < self.layers:
            raise InputError(
                f"Layer {site.layer} is out of range: {self.name} has layers 0 to {self.layers - 1}; give one of them."
            )
        return self.model.get_submodule(self.family.path(site))

    def sites(self, *kinds: SiteKind) -> list[Site]:
        """Every site of these kinds, block by block."""
        return [Site(layer, kind) for layer in range(self.layers) for kind in kinds]

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids as text, without special tokens and outer space."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def stop_ids(self) -> frozenset[int]:
        """The tokens that end an answer: those of the tokenizer, of the generation config and of the config."""
        sources = (self.tokenizer, self.model.generation_config, self.model.config)
        found: set[int] = set()
        for source in sources:
            ids = getattr(source, "eos_token_id", None)
            found.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
        return frozenset(found)


def load(
    name: str,
    quantize: Quantization | None = None,
    device_map: str | dict[str, Any] | None = None,
    dtype: DType | None = None,
    revision: str | None = None,
) -> LoadedModel:
    """Load `demo`, `demo-base`, a folder (of a model, or of an adapter together with its base model) or a hub id.

    Without `device_map` the whole model goes to the GPU if there is one; "auto" spreads it. Without `dtype` a model keeps its
    checkpoint's, so that results do not depend on the machine; the demo models compute in float32.
    """
    return load_source(resolve_model(name, revision), quantize, device_map, dtype)


def load_source(
    source: ModelSource,
    quantize: Quantization | None = None,
    device_map: str | dict[str, Any] | None = None,
    dtype: DType | None = None,
) -> LoadedModel:
    """`load`, for a name that is already resolved."""
    if source.base is not None:
        return _with_adapter(load_source(source.base, quantize, device_map, dtype), source)
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # its bars would fill task logs
    options = _download_options(source)
    default = "float32" if source.is_demo else "auto"
    try:
        config = AutoConfig.from_pretrained(source.location, **options)
        family = family_of(config.model_type, source.name)
        model = AutoModelForCausalLM.from_pretrained(
            source.location,
            config=config,
            dtype=dtype or default,
            device_map=device_map or {"": _default_device()},
            quantization_config=_quantization(quantize, source.name, config),
            **options,
        )
        tokenizer = AutoTokenizer.from_pretrained(source.location, **options)
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise _unloadable(source, error) from error
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"Model {source.name} does not fit into the GPU's memory; use --quantize or --device-map auto."
        ) from error
    loaded = wrap(model, tokenizer, source.name, family, source.identity)
    if loaded.quantised:
        _avoid_unfit_kernel(model)
    return loaded


def load_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """The tokenizer that `load_source` would give, without the weights."""
    if source.base is not None and not _has_tokenizer(source):
        return load_tokenizer(source.base)
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source.location, **_download_options(source))
    except (OSError, ValueError, ImportError) as error:
        raise _unloadable(source, error) from error


def quantised(model: LoadedModel, quantize: Quantization, device_map: str | dict[str, Any] | None = None) -> LoadedModel:
    """A model whose weights were changed in this process, with the weights that it has now as `load` would quantise them. Its
    own are left as they are, so there is room for both until it is let go."""
    network: Any = type(model.model).from_pretrained(
        None,
        config=model.model.config,
        state_dict=model.model.state_dict(),
        dtype=model.model.dtype,
        device_map=device_map or {"": _default_device()},
        quantization_config=_quantization(quantize, model.name, model.model.config),
    )
    network.generation_config = model.model.generation_config
    _avoid_unfit_kernel(network)
    return wrap(network, model.tokenizer, model.name, model.family, model.identity)


def wrap(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, family: Family | None = None, identity: str = ""
) -> LoadedModel:
    """A model made in this process, as `load` would return it."""
    model.eval()
    model.requires_grad_(False)
    return LoadedModel(name, model, tokenizer, family or family_of(model.config.model_type, name), identity or name)


def module_device(module: nn.Module) -> torch.device:
    """Where a module computes. Offloaded weights lie on `meta`; accelerate's hook then knows the device."""
    hook = getattr(module, "_hf_hook", None)
    execution = getattr(hook, "execution_device", None)
    if execution is not None:
        return torch.device(execution)
    return next(module.parameters()).device


def require_gradients(model: LoadedModel) -> None:
    """Refuse a model whose gradients would be silently wrong: on a CPU the first pass without gradients repacks 4-bit weights
    for a fast kernel that has no backward (specs/engine.md §1)."""
    from bitsandbytes.nn.modules import Linear4bit

    if any(isinstance(module, Linear4bit) and module_device(module).type == "cpu" for module in model.model.modules()):
        raise InputError(
            f"Gradients through the 4-bit weights of {model.name} are wrong on a CPU; use a GPU, 8-bit or unquantised weights."
        )


def _with_adapter(base: LoadedModel, source: ModelSource) -> LoadedModel:
    """The base model with the adapter's changes: merged into its weights, or beside them where these are quantised."""
    from peft import PeftModel
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    tokenizer = base.tokenizer
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)  # peft asks transformers by an old name
            adapted = PeftModel.from_pretrained(base.model, source.location)
        if _has_tokenizer(source):
            tokenizer = AutoTokenizer.from_pretrained(source.location, trust_remote_code=False)
        if any(config.is_prompt_learning for config in adapted.peft_config.values()):
            raise ValueError("it changes the prompt, not weights")
        network: Any = adapted.get_base_model() if base.quantised else adapted.merge_and_unload()
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise EngineError(f"The adapter {source.name} could not be put on {base.name}: {reason}.") from error
    return wrap(network, tokenizer, source.name, base.family, source.identity)


def _has_tokenizer(adapter: ModelSource) -> bool:
    return (Path(adapter.location) / "tokenizer_config.json").is_file()


def _download_options(source: ModelSource) -> dict[str, Any]:
    options: dict[str, Any] = {"revision": source.revision, "trust_remote_code": False}
    if source.revision is not None:
        options["token"] = find_key("HF_TOKEN")
    return options


def _unloadable(source: ModelSource, error: Exception) -> EngineError:
    reason = str(error).strip().splitlines()[0].rstrip(".")
    return EngineError(f"Model {source.name} ({source.location}) could not be loaded: {reason}.")


def _default_device() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _quantization(quantize: Quantization | None, name: str, config: Any) -> Any:
    """What is to be done to the weights. Those that are quantised on disk in another way are refused: transformers would leave
    them as they are."""
    if quantize is None:
        return None
    own = getattr(config, "quantization_config", None)
    if own is not None:
        if (own if isinstance(own, dict) else own.to_dict()).get(f"load_in_{quantize}"):
            return None
        raise InputError(
            f"The weights of {name} are quantised already and cannot be loaded as {quantize}; leave out --quantize, "
            "and fine-tune them with --method lora."
        )
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # one warning per matrix product
    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)


def _avoid_unfit_kernel(model: PreTrainedModel) -> None:
    """bitsandbytes' fast CPU kernel for 4 bits takes 64 inputs and 32 outputs at a time and fails on other widths; there the
    plain path computes the same."""
    from bitsandbytes.nn.modules import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit) and (module.in_features % 64 or module.out_features % 32):
            module.support_avx512bf16_for_cpu = False
