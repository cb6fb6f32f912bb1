"""One prompt through the steered model: its own answer, and what every position's states are, in one forward pass.

Owns which chat is looked at and the rows, one for each multiplier. What the states say belongs to `tokens` and `lens`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.chats import encode_chat, prefilled
from engine.data import Chat, Message
from engine.errors import EngineError, InputError
from engine.families import Site
from engine.forward import Runner, Steering, pad
from engine.generation import Row, generate
from engine.models import LoadedModel, load_source
from engine.sampling import Sampling
from engine.steering.experiment import Experiment, cells_of
from engine.steering.figures.settings import LookSettings
from engine.steering.settings import ApplySettings
from engine.store import load_tensors


@dataclass(frozen=True)
class Looked:
    """`ids`: of each multiplier's row, the prompt's (`prompt_length`, with a given beginning of the answer) and the model's own
    answer behind it."""

    model: LoadedModel
    experiment: Experiment
    steering: Steering
    layer: int
    multipliers: tuple[float, ...]
    prompt_length: int
    ids: tuple[tuple[int, ...], ...]
    vectors: dict[str, Tensor]

    def vector(self, layer: int) -> Tensor:
        """v at a layer, [hidden] float32."""
        return self.vectors[Site(layer).name]

    def tokens(self, row: int) -> list[str]:
        return [str(self.model.tokenizer.decode([token])) for token in self.ids[row]]


def look(experiment: Experiment, settings: LookSettings, answer_tokens: int) -> Looked:
    """Load the model, encode the prompt and, for each multiplier, let it answer greedily with so many tokens."""
    layer = _layer(experiment, settings)
    chat = _chat(experiment, settings)
    model = load_source(experiment.source, settings.quantize, settings.device_map, settings.dtype)
    vectors = load_tensors(experiment.vectors_path)
    steering = Steering([{Site(layer): at * vectors[Site(layer).name]} for at in settings.multipliers], settings.positions)
    ids = encode_chat(model.tokenizer, chat).ids
    rows = [Row(ids, arm=arm) for arm in range(len(settings.multipliers))]
    answers: dict[int, tuple[int, ...]] = {}
    if answer_tokens:
        written = generate(model, rows, Sampling(answer_tokens, temperature=0), steering, settings.batch_size)
        answers = {index: completion.ids for index, completion in written}
    sequences = tuple((*ids, *answers.get(row, ())) for row in range(len(rows)))
    return Looked(model, experiment, steering, layer, settings.multipliers, len(ids), sequences, vectors)


@contextmanager
def passed(looked: Looked) -> Iterator[Runner]:
    """A runner whose edits are attached: what is hooked inside the block sees steered states."""
    runner = Runner(looked.model, looked.steering)
    with runner.attached():
        yield runner


@torch.inference_mode()
def forward(looked: Looked, runner: Runner) -> None:
    """All rows and positions at once, padded on the right."""
    ids, valid = pad(looked.ids, "right")
    count = len(looked.ids)
    rows = runner.rows([looked.prompt_length] * count, list(range(count)), [None] * count)
    positions = torch.where(valid, torch.arange(ids.shape[1])[None], 0)
    runner.run(rows, ids, positions, runner.touched(rows, positions, valid), valid, None, keep=0)


def _layer(experiment: Experiment, settings: LookSettings) -> int:
    """The given layer, checked, or the one chosen with the vectors."""
    given = () if settings.layer is None else (settings.layer,)
    return cells_of(experiment, ApplySettings(**settings.vector_settings().model_dump(), layer=given))[0].layers[0]


def _chat(experiment: Experiment, settings: LookSettings) -> Chat:
    if settings.prompt is not None:
        chat: Chat = (Message("user", settings.prompt),)
    else:
        test = experiment.data.test
        chats: Sequence[Chat] = [one.chat for one in (*test.prompts, *test.items)]
        if not chats:
            raise InputError(f"The data have no test question about '{settings.behavior}'; give --prompt a text.")
        if settings.question >= len(chats):
            raise InputError(
                f"--question {settings.question} is out of range: there are {len(chats)} test questions; give one of 0 to "
                f"{len(chats) - 1}."
            )
        chat = chats[settings.question]
    return prefilled(chat, settings.answer) if settings.answer else chat


def check_positions(length: int, position: int) -> int:
    """The place that `position` means among `length` tokens."""
    if not -length <= position < length:
        raise EngineError(f"--position {position} is outside the prompt, which has {length} tokens; give one inside.")
    return position % length
