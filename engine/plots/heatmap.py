"""Tables of numbers as colours: one or more maps, in a grid, on a scale of their own or a common one.

Owns how a heat map looks. A cell without a number stays empty.
"""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.plots.style import DIVERGING, SEQUENTIAL, axes_grid, draw, grid, headed, plain_steps
from engine.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTER = 0.085  # inches of a letter of a column's name
_LABEL_WIDTH = 34
_MOST_WRITTEN = 12  # columns, beyond which numbers in the cells of a picture are too small to read


@dataclass(frozen=True, slots=True)
class Heatmap:
    """values: [rows][columns]. `limits`: the ends of the colour scale; `diverging`: its middle is white; `logarithmic`: it
    is. `texts`: what the cells say instead of their numbers; `counts`: how many units each rests on."""

    title: str
    row_name: str
    column_name: str
    value_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    limits: tuple[float, float]
    diverging: bool = True
    digits: int = 2
    note: str = ""
    logarithmic: bool = False
    texts: tuple[tuple[str, ...], ...] | None = None
    counts: tuple[tuple[int, ...], ...] | None = None

    def cell(self, row: int, column: int) -> str:
        if self.texts is not None:
            return self.texts[row][column]
        value = self.values[row][column]
        return "" if value is None else f"{value:.{self.digits}f}"

    def place(self, value: float) -> float:
        """Where a value lies on the scale, 0 to 1."""
        low, high = self.limits
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return min(max((value - low) / ((high - low) or 1), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class HeatmapPicture:
    """`cell_width`: inches of a column."""

    maps: tuple[Heatmap, ...]
    cell_width: float = 0.62

    def text(self, width: int, color: bool) -> str:
        return "\n\n".join(_terminal(one, width, color) for one in self.maps)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["map", "measure", "row_name", "row", "column_name", "column", "value", "units"])
        for one in self.maps:
            counts = one.counts or (("",) * len(one.columns),) * len(one.rows)
            for row, values, units in zip(one.rows, one.values, counts, strict=True):
                for column, value, count in zip(one.columns, values, units, strict=True):
                    told = "" if value is None else f"{value:.6f}"
                    place = [one.row_name, row, one.column_name, column]
                    writer.writerow([one.title, one.value_name, *place, told, count])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        rows, columns = grid(len(self.maps))
        width = max(min(max(self.cell_width * len(one.columns) + 2.4, 4.2), 13) for one in self.maps)
        height = max(min(max(0.42 * len(one.rows) + 1.7, 2.6), 13) for one in self.maps)

        def paint(figure: Figure) -> None:
            for one, axes in zip(self.maps, axes_grid(figure, len(self.maps)), strict=True):
                _draw(one, axes, figure, max(self.cell_width, (width - 2.4) / len(one.columns)))

        return draw((width * columns, height * rows), paint, told)


def _terminal(one: Heatmap, width: int, color: bool) -> str:
    """As many columns beside each other as fit, the others below, with the rows' names again."""
    names = [printable(row) for row in one.rows]
    left = max(map(len, (*names, one.row_name)))
    cells = [[printable(one.cell(row, column)) for column in range(len(one.columns))] for row in range(len(one.rows))]
    heads = [printable(column) for column in one.columns]
    wide = max(4, *(len(cell) for row in cells for cell in row), *map(len, heads))
    wide = min(wide, width - left - 1)
    at_once = max(1, (width - left) // (wide + 1))
    parts = [f"{printable(one.title)} — {one.value_name}", *([one.note] if one.note else [])]
    for start in range(0, len(heads), at_once):
        chosen = range(start, min(start + at_once, len(heads)))
        lines = [f"{one.row_name:<{left}} " + " ".join(heads[column][:wide].rjust(wide) for column in chosen)]
        for row, name in enumerate(names):
            shown = [_cell(one, row, column, cells[row][column][:wide].rjust(wide), color) for column in chosen]
            lines.append(f"{name:<{left}} " + " ".join(shown))
        parts.append("\n".join(line.rstrip() for line in lines))
    return "\n".join([*parts, f"{one.row_name} down, {one.column_name} across"])


def _cell(one: Heatmap, row: int, column: int, text: str, color: bool) -> str:
    value = one.values[row][column]
    if value is None or not color:
        return text
    return painted(text, shade(one.place(value), one.diverging))


def shade(place: float, diverging: bool) -> tuple[int, int, int]:
    """The scale's colour at `place`, 0 to 1: blue – white – red, or white to green."""
    if not diverging:
        return _mix((247, 252, 245), (35, 139, 69), place)
    low, middle, high = (67, 133, 190), (247, 247, 247), (214, 80, 70)
    return _mix(low, middle, 2 * place) if place < 0.5 else _mix(middle, high, 2 * place - 1)


def painted(text: str, background: tuple[int, int, int]) -> str:
    """`text` on a colour of 24 bits, black or white, whichever is read better."""
    ink = "0;0;0" if _lightness(background) > 110 else "255;255;255"
    return f"\x1b[38;2;{ink};48;2;{';'.join(map(str, background))}m{text}\x1b[0m"


def _mix(one: Sequence[int], other: Sequence[int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _lightness(color: tuple[int, int, int]) -> float:
    return 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]


def _draw(one: Heatmap, axes: Axes, figure: Figure, cell_width: float) -> None:
    from matplotlib.colors import LogNorm, Normalize

    low, high = one.limits
    numbers = [[math.nan if value is None else value for value in row] for row in one.values]
    scale = LogNorm(low, high) if one.logarithmic else Normalize(low, high)
    colors_of = DIVERGING if one.diverging else SEQUENTIAL
    image = axes.imshow(numbers, cmap=colors_of, norm=scale, aspect="auto", interpolation="nearest")
    colors = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    colors.set_label(textwrap.fill(one.value_name, _LABEL_WIDTH), fontsize=8.5)
    if one.logarithmic:
        steps = plain_steps(low, high)
        colors.set_ticks(steps, labels=[f"{step:.3g}" for step in steps])
        colors.minorticks_off()
    colors.ax.tick_params(labelsize=8)
    colors.outline.set_visible(False)  # pyright: ignore  typed as a method that it is not
    turn = 35 if max(map(len, one.columns)) * _LETTER > cell_width else 0
    axes.set_xticks(
        range(len(one.columns)),
        list(map(printable, one.columns)),
        rotation=turn,
        ha="right" if turn else "center",
        fontsize=8.5,
    )
    axes.set_yticks(range(len(one.rows)), list(map(printable, one.rows)), fontsize=8.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(one.column_name)
    axes.set_ylabel(one.row_name)
    headed(axes, one.title, one.note)
    if len(one.columns) > _MOST_WRITTEN:
        return
    for row, values in enumerate(one.values):
        for column, value in enumerate(values):
            if value is not None:
                red, green, blue, _ = image.to_rgba(value)  # pyright: ignore  a number is taken as well as an array
                dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
                said = one.cell(row, column)
                axes.text(column, row, said, ha="center", va="center", fontsize=8, color="white" if dark else "black")
