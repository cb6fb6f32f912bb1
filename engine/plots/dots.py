"""One number per category and series, as dots on a line for each category, coloured in the order of the series.

Owns how dots look. Categories are written beside their lines, so that long names and many of them stay readable.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.plots.style import axes_grid, draw, grid
from engine.printable import printable
from engine.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST_NAME, _LONGEST_DRAWN = 24, 40
_SIGN = re.compile(r"(\d )([+-])(?= |$)", re.MULTILINE)
_INK = {"+": "32", "-": "31"}


@dataclass(frozen=True, slots=True)
class DotPanel:
    """`series`: name → value of each category, in order; `counts`: how many items a category has; `marks`: series → a sign
    beside each of its values in the table."""

    title: str
    x_label: str
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    series: Mapping[str, tuple[float | None, ...]]
    marks: Mapping[str, tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class DotPicture:
    panels: tuple[DotPanel, ...]

    def text(self, width: int, color: bool) -> str:
        return "\n\n".join(_terminal(panel, width, color) for panel in self.panels)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["panel", "category", "items", "series", "value", "mark"])
        for panel in self.panels:
            for name, values in panel.series.items():
                for category, count, value, mark in zip(panel.categories, panel.counts, values, panel.marks[name], strict=True):
                    told = "" if value is None else f"{value:.6f}"
                    writer.writerow([panel.title, category, count, name, told, mark])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        longest = max(len(panel.categories) for panel in self.panels)
        height = max(2.6, 0.24 * longest + 1.6)

        rows, columns = grid(len(self.panels))

        def paint(figure: Figure) -> None:
            for panel, axes in zip(self.panels, axes_grid(figure, len(self.panels)), strict=True):
                _draw(panel, axes)

        return draw((8.2 * columns, height * rows), paint, told)


def _terminal(panel: DotPanel, width: int, color: bool) -> str:
    names = [_short(category) for category in panel.categories]
    columns = [("items", [str(count) for count in panel.counts])]
    for name, values in panel.series.items():
        told = ["–" if value is None else f"{value:.2f}" for value in values]
        marks = panel.marks[name]
        columns.append((f"{name}  ", [f"{one} {mark or ' '}" for one, mark in zip(told, marks, strict=True)]))
    table = text_table(("category", names), columns, numbers=True, width=width)
    if color:
        table = _SIGN.sub(lambda found: f"{found[1]}\x1b[{_INK[found[2]]}m{found[2]}\x1b[0m", table)
    return "\n".join([f"{printable(panel.title)} — {panel.x_label}", panel.note, "", table])


def _short(category: str, longest: int = _LONGEST_NAME) -> str:
    name = printable(category)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _draw(panel: DotPanel, axes: Axes) -> None:
    from matplotlib import colormaps

    shades = colormaps["coolwarm"]
    places = range(len(panel.categories))
    axes.hlines(places, 0, 1, color="#eeeeee", linewidth=0.8, zorder=0)
    for number, (name, values) in enumerate(panel.series.items()):
        share = number / max(len(panel.series) - 1, 1)
        known = [(value, place) for value, place in zip(values, places, strict=True) if value is not None]
        xs, ys = [value for value, _ in known], [place for _, place in known]
        axes.scatter(xs, ys, s=30, color=shades(share), edgecolor="#44444455", linewidth=0.5, label=name, zorder=2)
    named = zip(panel.categories, panel.counts, strict=True)
    axes.set_yticks(places, [f"{_short(category, _LONGEST_DRAWN)} ({count})" for category, count in named], fontsize=8)
    axes.set_ylim(len(panel.categories) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{panel.x_label} (items in brackets; no bands)")
    axes.set_title(panel.title)
    axes.legend(frameon=False, fontsize=8.5, title="multiplier", title_fontsize=8.5, loc="upper left", bbox_to_anchor=(1.01, 1))
