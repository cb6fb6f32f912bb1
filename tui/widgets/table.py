"""A table of keyed rows under fixed columns. It asks for the cells of visible rows only and keeps its cursor on a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.message import Message

from tui.models.columns import Cell, Column, Layout
from tui.models.text import Line
from tui.widgets.painted import Painted


class Table(Painted):
    """One head line, then rows. Scrolls by moving the cursor; what is not on the screen costs nothing."""

    DEFAULT_CSS = "Table { width: 1fr; height: 1fr; }"

    class Moved(Message):
        """The cursor stands on another row."""

    def __init__(self, columns: Sequence[Column], *, id: str | None = None, empty: Sequence[Line] = ()) -> None:
        super().__init__(id=id)
        self.empty = empty
        self._columns = columns
        self._keys: Sequence[str] = ()
        self._at: dict[str, int] = {}
        self._cells: Callable[[str], Sequence[Cell]] = lambda _: ()
        self._cursor = 0
        self._top = 0

    @property
    def key(self) -> str | None:
        """The row that the cursor is on."""
        return self._keys[self._cursor] if self._keys else None

    @property
    def position(self) -> tuple[int, int]:
        """(the cursor's row from 1, rows)"""
        return (self._cursor + 1 if self._keys else 0), len(self._keys)

    def show(self, keys: Sequence[str], cells: Callable[[str], Sequence[Cell]]) -> None:
        """Show these rows; the cursor stays with its key, or on its line when the key is gone."""
        before = self.key
        if keys is not self._keys:
            self._keys, self._at = keys, {key: at for at, key in enumerate(keys)}
        self._cells = cells
        self._cursor = self._at.get(before, self._cursor) if before is not None else self._cursor
        self._draw(before)

    def go_to(self, key: str) -> None:
        before = self.key
        self._cursor = self._at.get(key, self._cursor)
        self._draw(before)

    def move(self, rows: int) -> None:
        before = self.key
        self._cursor += rows
        self._draw(before)

    @property
    def page(self) -> int:
        """Rows that fit."""
        return max(self.size.height - 1, 1)

    def _draw(self, before: str | None) -> None:
        self._cursor = max(0, min(self._cursor, len(self._keys) - 1))
        if self.key != before:
            self.post_message(self.Moved())
        if not self.size.height:
            return
        self._top = max(min(self._top, self._cursor, len(self._keys) - self.page), self._cursor - self.page + 1, 0)
        if not self._keys:
            self.paint(self.empty)
            return
        layout = Layout.fitted(self._columns, self.size.width)
        lines = [layout.head()]
        for at in range(self._top, min(self._top + self.page, len(self._keys))):
            key = self._keys[at]
            lines.append(layout.row(self._cells(key), selected=at == self._cursor))
        self.paint(lines)
