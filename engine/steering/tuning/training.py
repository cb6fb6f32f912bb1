"""Training: the loss at one position, updates, and their state, so that a killed training goes on as if it had not been.

    loss = mean over an update's examples of −log p(letter | tokens before it), over the whole vocabulary (CAA §7)

Owns the loop and its arithmetic. Weights in half precision are trained through float32 copies: the original's pure float16
loses updates smaller than a weight's last bit. The order of examples follows from the seed and the epoch alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import EngineError
from engine.forward import enough_memory, pad
from engine.models import LoadedModel
from engine.steering.tuning.examples import Example
from engine.steering.tuning.settings import Optimizer


@dataclass(frozen=True, slots=True)
class Plan:
    """How it is learned. `examples` are those of one update, `batch_size` of one forward pass."""

    optimizer: Optimizer
    rate: float
    epochs: int
    examples: int
    batch_size: int
    seed: int

    def updates(self, count: int) -> int:
        return self.epochs * math.ceil(count / self.examples)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Over test examples: how often the letter is the likeliest of all tokens, and its mean probability."""

    accuracy: float
    probability: float


@dataclass
class Training:
    """A training under way. Everything that the coming updates depend on is in `state()`."""

    model: LoadedModel
    examples: Sequence[Example]
    plan: Plan
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._weights = {name: weight for name, weight in self.model.model.named_parameters() if weight.requires_grad}
        self._masters = {
            name: weight if weight.dtype == torch.float32 else weight.detach().float().requires_grad_()
            for name, weight in self._weights.items()
        }
        masters, rate = list(self._masters.values()), self.plan.rate
        self._optimizer = (
            torch.optim.SGD(masters, rate)
            if self.plan.optimizer == "sgd"
            else torch.optim.AdamW(masters, rate, weight_decay=0.0)
        )

    @property
    def total(self) -> int:
        return self.plan.updates(len(self.examples))

    @property
    def trained(self) -> int:
        """How many numbers are trained."""
        return sum(weight.numel() for weight in self._weights.values())

    def run(self, after_update: Callable[[], None]) -> None:
        """The updates that are left."""
        for update, chosen in enumerate(self._order()):
            if update >= len(self.losses):
                self.losses.append(self._update(chosen))
                after_update()

    def epoch_losses(self) -> list[float]:
        """The mean loss of every epoch that has begun."""
        each = math.ceil(len(self.examples) / self.plan.examples)
        epochs = [self.losses[start : start + each] for start in range(0, len(self.losses), each)]
        return [sum(losses) / len(losses) for losses in epochs]

    def state(self) -> dict[str, Tensor]:
        optimizer = self._optimizer.state_dict()["state"]
        moments = {
            f"optimizer/{index}/{name}": value
            for index, entries in optimizer.items()
            for name, value in entries.items()
            if isinstance(value, Tensor)
        }
        return {f"weight/{name}": master.detach() for name, master in self._masters.items()} | moments

    def restore(self, state: Mapping[str, Tensor], losses: Sequence[float]) -> None:
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            kind, rest = name.split("/", 1)
            if kind == "weight":
                with torch.no_grad():
                    self._masters[rest].copy_(value)
            else:
                index, entry = rest.split("/")
                moments.setdefault(int(index), {})[entry] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self.losses = list(losses)
        self._take_over()

    def _order(self) -> Iterator[list[Example]]:
        for epoch in range(self.plan.epochs):
            order = random.Random(f"finetune {self.plan.seed} {epoch}").sample(range(len(self.examples)), len(self.examples))
            for start in range(0, len(order), self.plan.examples):
                yield [self.examples[index] for index in order[start : start + self.plan.examples]]

    def _update(self, chosen: Sequence[Example]) -> float:
        loss = 0.0
        for start in range(0, len(chosen), self.plan.batch_size):
            batch = chosen[start : start + self.plan.batch_size]
            with enough_memory(len(batch)):
                logits, labels = _logits(self.model, batch)
                part = F.cross_entropy(logits.float(), labels, reduction="sum") / len(chosen)
                part.backward()
            loss += float(part.detach())
        if not math.isfinite(loss):
            raise EngineError(
                f"The loss became {loss} at update {len(self.losses) + 1} of {self.total}, so training stopped and nothing was "
                f"kept; give a --rate below {self.plan.rate:g}, or --dtype float32."
            )
        for name, weight in self._weights.items():
            master = self._masters[name]
            if master is not weight:
                master.grad = None if weight.grad is None else weight.grad.float()
                weight.grad = None
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._take_over()
        return loss

    @torch.no_grad()
    def _take_over(self) -> None:
        """Round the float32 copies into the model."""
        for name, weight in self._weights.items():
            if self._masters[name] is not weight:
                weight.copy_(self._masters[name])


@torch.inference_mode()
def accuracy(model: LoadedModel, examples: Sequence[Example], batch_size: int) -> Accuracy:
    right, probability = 0, 0.0
    for start in range(0, len(examples), batch_size):
        batch = examples[start : start + batch_size]
        with enough_memory(len(batch)):
            logits, labels = _logits(model, batch)
        right += int((logits.argmax(-1) == labels).sum())
        probability += float(logits.double().softmax(-1).gather(1, labels[:, None]).sum())
    return Accuracy(right / len(examples), probability / len(examples))


def _logits(model: LoadedModel, batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Logits where the letter is predicted [batch, vocab], and the letters [batch]. Padded on the right: rows need no mask, and
    the head is computed at the ends of rows alone."""
    ids, valid = pad([example.ids for example in batch], "right")
    ends, places = (valid.sum(1) - 1).unique(return_inverse=True)
    logits = model.model(input_ids=ids.to(model.device), logits_to_keep=ends.to(model.device), use_cache=False).logits
    labels = torch.tensor([example.label for example in batch], device=logits.device)
    return logits[torch.arange(len(batch), device=logits.device), places.to(logits.device)], labels
