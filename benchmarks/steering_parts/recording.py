"""(c) Activations of 200 texts at their last token, all layers: tiller's reading, the recorder of the library steering-vectors,
and the forward passes alone."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from engine.forward import pad
from engine.steering.activations import states
from steering_parts.subjects import Subject
from steering_parts.timing import Times, in_turns

TEXTS, BATCH = 200, 20
PEER = "steering-vectors==0.12.2"

Ids = tuple[int, ...]


def peer() -> ModuleType:
    """The library, in a folder of its own that is gone with the process: it pins an older transformers without need."""
    folder = tempfile.TemporaryDirectory(prefix="tiller-benchmark-")
    _KEPT.append(folder)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder.name, PEER]
    subprocess.run(command, check=True)
    sys.path.append(str(Path(folder.name)))
    return importlib.import_module("steering_vectors")


_KEPT: list[tempfile.TemporaryDirectory] = []


def compare(subject: Subject, library: ModuleType, rounds: int) -> tuple[Times, float]:
    """Seconds of each way, and the largest difference between tiller's and the recorder's values, over the largest value."""
    texts = subject.sequences(TEXTS)
    times = in_turns(
        {
            "forward only": lambda: _forward_only(subject, texts),
            "tiller": lambda: _ours(subject, texts),
            "steering-vectors": lambda: _recorded(subject, texts, library),
        },
        rounds,
    )
    ours, theirs = _ours(subject, texts), _recorded(subject, texts, library)
    return times, float((ours - theirs).abs().max() / theirs.abs().max())


@torch.inference_mode()
def _forward_only(subject: Subject, texts: Sequence[Ids]) -> None:
    """The passes of tiller's reading, with nothing read."""
    ordered = sorted(texts, key=len, reverse=True)
    for start in range(0, len(ordered), BATCH):
        ids, _ = pad(ordered[start : start + BATCH], "right")
        subject.model.model.base_model(input_ids=ids.to(subject.model.device), use_cache=False)


def _ours(subject: Subject, texts: Sequence[Ids]) -> Tensor:
    """→ [layers, texts, hidden]."""
    sites = subject.every_layer
    found = torch.empty(len(sites), len(texts), subject.model.hidden_size)
    for rows, batch in states(subject.model, texts, sites, BATCH):
        for layer, site in enumerate(sites):
            found[layer, rows] = batch[site].float().cpu()
    return found


@torch.no_grad()
def _recorded(subject: Subject, texts: Sequence[Ids], library: ModuleType) -> Tensor:
    """As the library's own extraction does it: batches in the given order, padded and masked; all is recorded, one read."""
    found = torch.empty(subject.model.layers, len(texts), subject.model.hidden_size)
    for start in range(0, len(texts), BATCH):
        ids, valid = pad(texts[start : start + BATCH], "right")
        ids, valid = ids.to(subject.model.device), valid.to(subject.model.device)
        with library.record_activations(subject.model.model, layer_type="decoder_block") as recorded:
            subject.model.model(input_ids=ids, attention_mask=valid.long())
        rows, last = torch.arange(len(ids), device=ids.device), valid.sum(1) - 1
        for layer, (states_,) in recorded.items():
            found[layer, start : start + BATCH] = states_[rows, last].float().cpu()
    return found
