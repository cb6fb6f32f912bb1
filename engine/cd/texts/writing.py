"""Texts of one cell on their way to disk: what is there already, and what is added, some texts at a time.

Owns the cell's memory in this process and the order of writing (`records`). It does not know how texts are made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from engine.cd.texts.records import MeasuredText, append_numbers, append_texts, read_texts
from engine.progress import Progress
from engine.store import Response, Segment, note_artifact, read_responses, responses_folder, writer_name
from engine.workspace import Workspace


class CellTexts:
    """The texts of a cell: read once, then those that this process adds, or measures: `added` of them."""

    def __init__(self, workspace: Workspace, cell: str) -> None:
        self.workspace, self.cell = workspace, cell
        self.added = 0
        self._texts: dict[str, MeasuredText] | None = None
        self._bare: dict[str, Response] = {}

    def measured(self) -> Mapping[str, MeasuredText]:
        """By id."""
        return self._read()

    def bare(self) -> Mapping[str, Response]:
        """Responses that have no numbers, by id."""
        self._read()
        return self._bare

    def add(self, texts: Sequence[MeasuredText]) -> None:
        known = self._read()
        self.added += len(texts)
        for text in texts:
            known[text.id] = text
            self._bare.pop(text.id, None)

    def _read(self) -> dict[str, MeasuredText]:
        if self._texts is None:
            self._texts = read_texts(self.workspace, self.cell)
            responses = read_responses(self.workspace, self.cell)
            self._bare = {name: response for name, response in responses.items() if name not in self._texts}
        return self._texts


class TextWriter:
    """Writes texts as they come, `at_once` together. Use as a context manager; what is left over is written when it is left in
    peace, and lost (to be made again) where something failed. Progress counts texts and tells tokens per second."""

    def __init__(self, texts: CellTexts, label: str, total: int, at_once: int, first: Callable[[], None]) -> None:
        """first: called before anything is written, so that what is refused leaves nothing behind."""
        self._texts, self._label, self._at_once = texts, label, at_once
        self._writer = writer_name()
        self._segment = Segment(responses_folder(texts.workspace, texts.cell), self._writer)
        self._progress = Progress(label, total)
        self._waiting: list[tuple[Response | None, MeasuredText]] = []
        self._first: Callable[[], None] | None = first
        self._tokens, self._began = 0, time.monotonic()

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._write()
        finally:
            self._segment.__exit__(kind, error, trace)
            self._progress.__exit__(kind, error, trace)
        if self._segment.path is not None:
            note_artifact(self._texts.workspace, self._segment.path, "responses", self._texts.cell)

    def add(self, response: Response | None, text: MeasuredText) -> None:
        """response: None where it is there already, and only the numbers are new."""
        self._waiting.append((response, text))
        self._tokens += len(text.token_ids)
        if len(self._waiting) >= self._at_once:
            self._write()
        seconds = time.monotonic() - self._began
        self._progress.label = f"{self._label}, {self._tokens / max(seconds, 1e-3):.0f} tokens/s"
        self._progress.advance()

    def _write(self) -> None:
        new = [(response, text) for response, text in self._waiting if response is not None]
        known = [text for response, text in self._waiting if response is None]
        responses, texts = [response for response, _ in new], [text for _, text in new]
        if self._waiting and self._first is not None:
            self._first()
            self._first = None
        append_texts(self._texts.workspace, self._segment, self._writer, responses, texts)
        if known:
            append_numbers(self._texts.workspace, self._texts.cell, self._writer, known)
        self._texts.add([text for _, text in self._waiting])
        self._waiting = []
