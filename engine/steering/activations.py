"""Activations at the last token of chats: read from a model, and kept on disk for figures and editors.

Owns the forward passes over the examples of a contrast, and the files `artifacts/activations/<vectors key>/<site>.safetensors`.
Batches are sorted by length and padded on the right, so no mask is needed, the LM head is skipped, and only the one position
of each row is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.chats import encode_chat
from engine.data import Contrast, Example
from engine.errors import EngineError
from engine.families import Site
from engine.forward import check_length, enough_memory, pad
from engine.hooks import reading
from engine.models import LoadedModel
from engine.steering.experiment import Experiment
from engine.store import load_tensors, save_tensors

Ids = tuple[int, ...]


def collect(
    model: LoadedModel,
    contrast: Contrast,
    sites: Sequence[Site],
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[Site, dict[str, Tensor]]:
    """Every example's state at every site: {site: {class: [examples, hidden] float32}}, in the order of the classes."""
    tokens = {name: encode(model, examples) for name, examples in contrast.classes.items()}
    return collect_sequences(model, tokens, sites, batch_size, advance)


def collect_sequences(
    model: LoadedModel,
    tokens: Mapping[str, Sequence[Ids]],
    sites: Sequence[Site],
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[Site, dict[str, Tensor]]:
    """`collect`, of chats that are tokens already."""
    flat = [ids for sequences in tokens.values() for ids in sequences]
    kept = {site: torch.empty(len(flat), model.hidden_size) for site in sites}
    for rows, found in states(model, flat, sites, batch_size, advance):
        for site, state in found.items():
            kept[site][rows] = state.float().cpu()
    return {site: split(check_finite(model, site, tensor), tokens) for site, tensor in kept.items()}


def encode(model: LoadedModel, examples: Sequence[Example]) -> list[Ids]:
    return [encode_chat(model.tokenizer, example.chat).ids for example in examples]


def split(stacked: Tensor, classes: Mapping[str, Sequence[Any]]) -> dict[str, Tensor]:
    """Rows that lie class behind class → a tensor for each class."""
    parts = stacked.split([len(members) for members in classes.values()])
    return dict(zip(classes, parts, strict=True))


@torch.inference_mode()
def states(
    model: LoadedModel,
    sequences: Sequence[Ids],
    sites: Sequence[Site],
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[list[int], dict[Site, Tensor]]]:
    """Yield, a batch at a time, (indices in `sequences`, {site: [batch, hidden]}) at each sequence's last token, on the site's
    device and in the model's number type; long sequences first, so a batch that is too large fails at once."""
    check_length(model, max(map(len, sequences)), "shorten the examples of the contrast")
    order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        ids, valid = pad([sequences[index] for index in chosen], "right")
        with reading(model, sites, valid.sum(1) - 1) as found, enough_memory(len(chosen)):
            model.model.base_model(input_ids=ids.to(model.device), use_cache=False)
        yield chosen, found
        advance(len(chosen))


def check_finite(model: LoadedModel, site: Site, tensor: Tensor) -> Tensor:
    if not tensor.isfinite().all():
        raise EngineError(
            f"{model.name} gives NaN or infinite activations at {site.name}; load it with --dtype float32 or bfloat16."
        )
    return tensor


def save_activations(experiment: Experiment, site: Site, classes: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """classes: {class: [examples, hidden] float32}; the header says whose states they are, see `example_notes`."""
    save_tensors(experiment.activations_path(site), classes, header)


def example_notes(contrast: Contrast, classes: Sequence[str]) -> dict[str, dict[str, list[str | None]]]:
    """For each class the examples' ids and the letters that they answer with (null for those that are no A/B answers)."""
    return {
        name: {
            "ids": [example.id for example in contrast.classes[name]],
            "letters": [letter_of(example) for example in contrast.classes[name]],
        }
        for name in classes
    }


def letter_of(example: Example) -> str | None:
    """The letter that an answer to an A/B question ends in."""
    if example.item is None or example.chat[-1].role != "assistant":
        return None
    answer = example.chat[-1].content
    return next((name for name, text in zip("AB", example.item.letters, strict=True) if answer.endswith(text)), None)


def read_activations(experiment: Experiment, site: Site) -> dict[str, Tensor]:
    """The kept states of one site: {class: [examples, hidden] float32} in the order of `Contrast.classes[class]`."""
    path = experiment.activations_path(site)
    if not path.is_file():
        raise EngineError(
            f"There are no activations of '{experiment.settings.behavior}' at {site.name} "
            f"({experiment.workspace.relative(path)}); run `tiller steer vectors` with the same options and --save-activations."
        )
    return load_tensors(path)
