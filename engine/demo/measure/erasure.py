"""Card rows on LEACE: can a linear probe still tell harmful from harmless requests?

Eraser and probe are fitted on training requests, at each layer; the probe is scored on test requests.
"""

from __future__ import annotations

import torch
from concept_erasure import LeaceEraser
from torch import Tensor

from engine.demo.measure.model import DemoModel, activations
from engine.demo.skills import refuse
from engine.demo.vocabulary import requests

_RIDGE = 0.1


def probes(demo: DemoModel) -> dict[str, list[float]]:
    """Probe accuracy on test requests after each block, plain and after erasure."""
    number = min(len(requests(harmful, "train")) for harmful in (True, False))
    labelled = [
        (harmful, chat)
        for harmful in (True, False)
        for deed in requests(harmful, "train")[:number]
        for chat in refuse.chats(deed)
    ]
    fit = activations(demo, [chat for _, chat in labelled]).double()
    y = torch.tensor([float(harmful) for harmful, _ in labelled]).double()
    asked = [(harmful, chat) for harmful in (True, False) for deed in requests(harmful, "test") for chat in refuse.chats(deed)]
    test = activations(demo, [chat for _, chat in asked]).double()
    truth = torch.tensor([harmful for harmful, _ in asked])
    plain, erased = [], []
    for layer in range(demo.layers):
        x, held = fit[:, layer], test[:, layer]
        eraser = LeaceEraser.fit(x, y)
        plain.append(_probe(x, y, held, truth))
        erased.append(_probe(eraser(x), y, eraser(held), truth))
    return {"plain": plain, "erased": erased}


def _probe(x: Tensor, y: Tensor, held: Tensor, truth: Tensor) -> float:
    """Accuracy of a ridge classifier."""
    mean = x.mean(0)
    centred = x - mean
    gram = centred.T @ centred + _RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    w = torch.linalg.solve(gram, centred.T @ (2 * y - 1))
    return float((((held - mean) @ w > 0) == truth).double().mean())
