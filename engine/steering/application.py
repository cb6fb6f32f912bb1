"""Steered answers: every cell of a sweep as rows of the same batches.

Owns the rows = prompt × sample × cell of open questions. It knows neither file names nor what an arm does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.chats import encode_chat, marker_position
from engine.data import Chat, Prompt
from engine.forward import Steering
from engine.generation import Completion, Row, generate
from engine.models import LoadedModel
from engine.sampling import Sampling, row_seed
from engine.steering.data import with_system
from engine.steering.experiment import Cell
from engine.steering.settings import ApplySettings
from engine.store import Response, response_id, text_hash


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and which positions of its row were steered (prompt first, then the answer)."""

    response: Response
    prompt_tokens: int
    steered: tuple[bool, ...]


Pending = Sequence[tuple[int, Prompt, int]]
"""(cell index, prompt, sample) of the answers to write."""


def rows_of(
    model: LoadedModel,
    cells: Sequence[Cell],
    pending: Pending,
    arm_of: Callable[[int, Prompt], int],
    line: str | None,
    settings: ApplySettings,
) -> list[Row]:
    """The rows to generate, one for each pending answer. arm_of: (cell index, prompt) → the row's arm; line: a system turn
    that is put before every prompt."""
    encoded = {prompt.id: encode_chat(model.tokenizer, said_with(line, prompt.chat)) for _, prompt, _ in pending}
    sought = settings.marker if settings.positions == "from_marker" else None
    markers = {name: marker_position(one, sought) if sought else None for name, one in encoded.items()}
    return [
        Row(
            encoded[prompt.id].ids,
            row_seed(settings.seed, prompt.id, sample, cells[index].multiplier),
            arm_of(index, prompt),
            markers[prompt.id],
        )
        for index, prompt, sample in pending
    ]


def said_with(line: str | None, chat: Chat) -> Chat:
    return chat if line is None else with_system(chat, line)


def answers(
    model: LoadedModel,
    cells: Sequence[Cell],
    steering: Steering,
    pending: Pending,
    rows: Sequence[Row],
    sampling: Sampling,
    batch_size: int,
) -> Iterator[Answer]:
    """Write the pending answers from their rows. A response records its question alone, without a system line: that is what a
    judge is shown."""
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
