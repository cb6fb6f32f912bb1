"""Responses and scores: the two text-like record kinds, their ids, and how they are read back together.

Owns the record fields of DESIGN §4 and the rule for repeated ids (both are kept, the newest is seen, and it is reported).
It does not know who generates or judges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from engine.errors import EngineError
from engine.progress import notice
from engine.settings import canonical_json
from engine.store.segments import Segment, read_segment, segments_of
from engine.workspace import Workspace

Label = str
"""What a scorer said: its own words (`yes`, `no`, …) or one of `tie`, `unparsed`, `failed`."""

_Record = TypeVar("_Record", "Response", "Score")

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Response:
    """One generated text. Immutable: another text under the same id is another record."""

    id: str
    cell: str
    prompt_id: str
    prompt: str
    sample: int
    seed: int
    text: str
    text_sha256: str
    finish: Finish
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Score:
    """One judgement by one scorer of one response, or of an ordered pair (`order` then says which came first)."""

    subjects: tuple[str, ...]
    text_sha256: tuple[str, ...]
    order: str | None
    value: float | None
    label: Label
    raw: Any
    scorer: str


def response_id(cell: str, prompt_id: str, sample: int) -> str:
    return hashlib.sha256(canonical_json([cell, prompt_id, sample]).encode()).hexdigest()[:24]


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def responses_folder(workspace: Workspace, cell: str) -> Path:
    return workspace.artifacts / "responses" / cell


def scores_folder(workspace: Workspace, scorer: str) -> Path:
    return workspace.artifacts / "scores" / scorer


def cells_with_responses(workspace: Workspace) -> list[str]:
    folder = workspace.artifacts / "responses"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def append_records(segment: Segment, records: Iterable[Response | Score]) -> None:
    segment.append(*(asdict(record) for record in records))


def read_responses(workspace: Workspace, cell: str) -> dict[str, Response]:
    """The responses of one cell by id. Where an id has several texts, the newest; how many were hidden is reported."""
    responses: dict[str, Response] = {}
    hidden = 0
    for path in segments_of(responses_folder(workspace, cell)):
        for record in read_segment(path):
            response = _parsed(Response, record, path)
            earlier = responses.get(response.id)
            hidden += earlier is not None and earlier.text_sha256 != response.text_sha256
            responses[response.id] = response
    if hidden:
        notice(f"cell {cell}: {hidden} responses have more than one text under one id; the newest are used, all are kept")
    return responses


def read_scores(workspace: Workspace, scorer: str) -> dict[tuple[tuple[str, ...], tuple[str, ...], str | None], Score]:
    """A scorer's judgements by (subjects, text hashes, order): a score joins only the text that it judged."""
    scores = {}
    for path in segments_of(scores_folder(workspace, scorer)):
        for record in read_segment(path):
            lists = {name: tuple(record.get(name, ())) for name in ("subjects", "text_sha256")}
            score = _parsed(Score, record | lists, path)
            scores[score.subjects, score.text_sha256, score.order] = score
    return scores


def _parsed(kind: type[_Record], record: dict[str, Any], path: Path) -> _Record:
    try:
        return kind(**record)
    except TypeError as error:
        raise EngineError(
            f"{path} holds a record that is no {kind.__name__.lower()} of this version ({error}); "
            "move the file away and run again."
        ) from error
