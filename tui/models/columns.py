"""Tables as text: fixed column specs, fitted to a width, and rows laid out in them.

Columns never change with the data, so that nothing jumps while numbers move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from tui.models.text import Line, Span, Tone, fit, fit_spans

Cell = Span | Sequence[Span] | str
"""Plain text, one span, or several."""


@dataclass(frozen=True, slots=True)
class Column:
    """width: cells it always has; grow: its share of what is left over, up to `most`; drop: the highest goes first when
    the terminal is narrow, 0 stays. gap: cells after it."""

    title: str
    width: int
    right: bool = False
    grow: int = 0
    most: int = 1000
    drop: int = 0
    gap: int = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns fitted to a width: which are shown, by index, and how wide each is."""

    columns: tuple[Column, ...]
    widths: tuple[tuple[int, int], ...]

    @classmethod
    def fitted(cls, columns: Sequence[Column], width: int) -> Layout:
        shown = list(range(len(columns)))
        while _total(columns, shown) > width:
            droppable = [index for index in shown if columns[index].drop]
            if not droppable:
                break
            shown.remove(max(droppable, key=lambda index: columns[index].drop))
        sizes = {index: columns[index].width for index in shown}
        left = width - _total(columns, shown)
        growing = [index for index in shown if columns[index].grow]
        while left > 0 and growing:
            weights = sum(columns[index].grow for index in growing)
            for index in growing:
                more = min(max(left * columns[index].grow // weights, 1), columns[index].most - sizes[index], left)
                sizes[index] += more
                left -= more
            growing = [index for index in growing if sizes[index] < columns[index].most]
        return cls(tuple(columns), tuple(sizes.items()))

    def head(self) -> Line:
        spans: list[Span] = [(" ", Tone.PLAIN)]
        for index, width in self.widths:
            column = self.columns[index]
            spans += [(fit(column.title, width, right=column.right), Tone.DONE), (" " * column.gap, Tone.PLAIN)]
        return Line(tuple(spans[:-1]))

    def row(self, cells: Sequence[Cell], *, selected: bool = False) -> Line:
        """cells: one for each column, shown or not."""
        spans: list[Span] = [(" ", Tone.PLAIN)]
        for index, width in self.widths:
            spans += fit_spans(_spans(cells[index]), width, right=self.columns[index].right)
            spans.append((" " * self.columns[index].gap, Tone.PLAIN))
        return Line(tuple(spans[:-1]), selected)


def _total(columns: Sequence[Column], shown: Sequence[int]) -> int:
    """Cells that these columns take, with a margin of one on each side."""
    return sum(columns[index].width + columns[index].gap for index in shown) - columns[shown[-1]].gap + 2


def _spans(cell: Cell) -> Sequence[Span]:
    if isinstance(cell, str):
        return [(cell, Tone.PLAIN)]
    if cell and isinstance(cell[0], str):
        return [cast("Span", cell)]
    return cast("Sequence[Span]", cell)
