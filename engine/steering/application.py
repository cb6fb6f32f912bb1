"""Steered answers: every cell of a sweep as rows of the same batches.

Owns what a cell adds, and the rows = prompt × sample × cell of open questions. It knows no file names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.chats import encode_chat, marker_position
from engine.data import Chat, Prompt
from engine.families import Site
from engine.forward import Arm, Steering
from engine.generation import Completion, Row, generate
from engine.models import LoadedModel
from engine.sampling import Sampling, row_seed
from engine.steering.experiment import Cell
from engine.steering.vectors import random_like
from engine.store import Response, response_id, text_hash

if TYPE_CHECKING:
    from torch import Tensor

    from engine.positions import PositionRule


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and which positions of its row were steered (prompt first, then the answer)."""

    response: Response
    prompt_tokens: int
    steered: tuple[bool, ...]


def arm_of(cell: Cell, vectors: Mapping[str, Tensor]) -> Arm:
    """What a cell adds: its multiple of the behaviour's vector, or of a random one of the same norm."""
    return {site: cell.multiplier * _vector(cell, site, vectors) for site in cell.sites}


def _vector(cell: Cell, site: Site, vectors: Mapping[str, Tensor]) -> Tensor:
    vector = vectors[site.name]
    return vector if cell.control_seed is None else random_like(vector, _control_stream(cell.control_seed, site))


Pending = Sequence[tuple[int, Prompt, int]]
"""(cell index, prompt, sample) of the answers to write."""


def rows_of(
    model: LoadedModel, cells: Sequence[Cell], pending: Pending, rule: PositionRule, seed: int, marker: str | None
) -> list[Row]:
    """The rows to generate, one for each pending answer. Row arms are cell indices."""
    encoded = {prompt.id: encode_chat(model.tokenizer, prompt.chat) for _, prompt, _ in pending}
    sought = marker if rule == "from_marker" else None
    markers = {name: marker_position(one, sought) if sought else None for name, one in encoded.items()}
    return [
        Row(
            encoded[prompt.id].ids,
            row_seed(seed, prompt.id, sample, cells[index].multiplier),
            index,
            markers[prompt.id],
        )
        for index, prompt, sample in pending
    ]


def answers(
    model: LoadedModel,
    cells: Sequence[Cell],
    steering: Steering,
    pending: Pending,
    rows: Sequence[Row],
    sampling: Sampling,
    batch_size: int,
) -> Iterator[Answer]:
    """Write the pending answers from their rows. The steering's arms are the cells', in order."""
    for position, completion in generate(model, rows, sampling, steering, batch_size):
        index, prompt, sample = pending[position]
        response = _response(model, cells[index].key, prompt, sample, rows[position].seed, completion)
        yield Answer(response, len(rows[position].prompt), completion.steered)


def prompt_text(chat: Chat) -> str:
    """A chat as readers and judges see it: a lone question as it is, several turns with their roles."""
    if len(chat) == 1:
        return chat[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in chat)


def _response(model: LoadedModel, cell: str, prompt: Prompt, sample: int, seed: int, completion: Completion) -> Response:
    text = model.decode(completion.ids)
    return Response(
        id=response_id(cell, prompt.id, sample),
        cell=cell,
        prompt_id=prompt.id,
        prompt=prompt_text(prompt.chat),
        sample=sample,
        seed=seed,
        text=text,
        text_sha256=text_hash(text),
        finish=completion.finish,
        n_tokens=len(completion.ids),
    )


def _control_stream(seed: int, site: Site) -> int:
    """A seed of its own for each site, so that a control at two layers is not one vector twice."""
    return row_seed(seed, site.name, 0, 0.0)
