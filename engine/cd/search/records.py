"""A search on disk: one line per attempt at a cycle, from which a killed search goes on and everything shown is read.

Owns `artifacts/searches/<key>/log/`, its records and their order. What an assistant said lies beside it, in `replies/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.cd.search.statistics import CycleStatistics, Spread
from engine.errors import EngineError, InputError
from engine.store import Segment, read_segment, segments_of
from engine.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt in the bank. divergence: the ranking measure's mean over the prompt's texts. criterion: None where there is
    none. cycle: 0 for prompts given at the start. `prompt_id` is a hash of the text: embeddings and texts are found by it."""

    prompt_id: str
    prompt: str
    divergence: float
    response: str
    criterion: float | None
    cycle: int
    repeat: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a cycle; number 0 scores the prompts given. shown: the prompts that it was made from, by id. dropped:
    reason → how many proposals. failure: why nothing was kept. next_shown: what the next attempt is made from."""

    repeat: int
    number: int
    cycle: int
    shown: tuple[str, ...]
    proposed: int
    dropped: Mapping[str, int]
    failure: str | None
    entries: tuple[Entry, ...]
    next_shown: tuple[str, ...]
    statistics: CycleStatistics
    hypotheses: tuple[str, ...] = field(default=())


def search_folder(workspace: Workspace, key: str) -> Path:
    return workspace.artifacts / "searches" / key


def append_attempt(segment: Segment, attempt: Attempt) -> None:
    segment.append(asdict(attempt))


def read_attempts(folder: Path) -> dict[tuple[int, int], Attempt]:
    """Every attempt by (repeat, number), in order. Only one command writes at a time (`engine.cd.alone`)."""
    found: dict[tuple[int, int], Attempt] = {}
    for path in segments_of(folder / "log"):
        for record in read_segment(path):
            attempt = _parsed(record, path)
            found[attempt.repeat, attempt.number] = attempt
    return dict(sorted(found.items()))


def bank_of(attempts: Mapping[tuple[int, int], Attempt]) -> list[Entry]:
    """What all repeats have found, each prompt once, the highest divergence first."""
    entries: dict[str, Entry] = {}
    for attempt in attempts.values():
        for entry in attempt.entries:
            entries.setdefault(entry.prompt_id, entry)
    return sorted(entries.values(), key=lambda entry: (-entry.divergence, entry.prompt_id))


def find_search(workspace: Workspace, beginning: str | None) -> str:
    """The key of the search that begins so, or of the one written to last."""
    folder = workspace.artifacts / "searches"
    logs = {path.name: segments_of(path / "log") for path in folder.iterdir()} if folder.is_dir() else {}
    known = {key: max(path.stat().st_mtime_ns for path in paths) for key, paths in logs.items() if paths}
    if not known:
        raise InputError("This workspace has no search yet; begin one with `tiller cd search`.")
    if beginning is None:
        return max(known, key=lambda key: known[key])
    fitting = [key for key in sorted(known) if key.startswith(beginning)]
    if len(fitting) != 1:
        reason = "several searches begin" if fitting else "no search begins"
        raise InputError(f"In this workspace {reason} with '{beginning}'; give one of {', '.join(fitting or sorted(known))}.")
    return fitting[0]


def _parsed(record: dict[str, Any], path: Path) -> Attempt:
    try:
        statistics = {name: Spread(**value) if value else None for name, value in record["statistics"].items()}
        return Attempt(
            **record
            | {
                "entries": tuple(Entry(**entry) for entry in record["entries"]),
                "shown": tuple(record["shown"]),
                "next_shown": tuple(record["next_shown"]),
                "hypotheses": tuple(record["hypotheses"]),
                "statistics": CycleStatistics(**statistics),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"{path} holds a record that is no attempt of this version ({error}); move the file away and run again."
        ) from error
