"""Tables for a terminal of 80 columns: what does not fit beside follows below, with the rows' names again. Pure text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

WIDTH = 80
_GAP = "  "

Column = tuple[str, Sequence[str]]
"""A heading and a cell for each row."""


def text_table(names: Column, columns: Sequence[Column], numbers: bool = False, width: int = WIDTH) -> str:
    """The rows' names on the left, then the columns; `numbers`: these to the right of theirs. At least one column stands in
    every part, however wide it is."""
    left = _lines(names, str.ljust)
    parts: list[list[str]] = []
    for column in columns:
        cells = _lines(column, str.rjust if numbers else str.ljust)
        if not parts or len(parts[-1][0]) + len(_GAP) + len(cells[0]) > width:
            parts.append(left)
        parts[-1] = [_GAP.join(both) for both in zip(parts[-1], cells, strict=True)]
    return "\n\n".join("\n".join(line.rstrip() for line in part) for part in parts)


def _lines(column: Column, justify: Callable[[str, int], str]) -> list[str]:
    """The heading and the cells, equally wide."""
    lines = [column[0], *column[1]]
    return [justify(line, max(map(len, lines))) for line in lines]
