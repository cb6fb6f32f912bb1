"""Points in a plane, by group: what lies near what. One or more panels, in a grid.

Owns how scatters look. The colour of a group says one thing about it, its mark another.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.plots.style import COLORS, MARKERS, SIGNS, TERMINAL_COLORS, axes_grid, draw, grid
from engine.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 22


@dataclass(frozen=True, slots=True)
class ScatterGroup:
    """`points`: (x, y). `labels`: one for each point, written beside it where `written`, always in the CSV. `joined`: a line
    leads from point to point."""

    name: str
    points: tuple[tuple[float, float], ...]
    color: int
    mark: int
    labels: tuple[str, ...]
    written: bool = False
    joined: bool = False


@dataclass(frozen=True, slots=True)
class ScatterPanel:
    title: str
    x_label: str
    y_label: str
    groups: tuple[ScatterGroup, ...]


@dataclass(frozen=True, slots=True)
class ScatterPicture:
    panels: tuple[ScatterPanel, ...]

    def text(self, width: int, color: bool) -> str:
        return "\n\n".join(_terminal(panel, width, color) for panel in self.panels)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["panel", "group", "label", "x_name", "x", "y_name", "y"])
        for panel in self.panels:
            for group in panel.groups:
                for label, (x, y) in zip(group.labels, group.points, strict=True):
                    writer.writerow([panel.title, group.name, label, panel.x_label, f"{x:.6f}", panel.y_label, f"{y:.6f}"])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        rows, columns = grid(len(self.panels))

        def paint(figure: Figure) -> None:
            for panel, axes in zip(self.panels, axes_grid(figure, len(self.panels)), strict=True):
                _draw(panel, axes)

        return draw((5.8 * columns, 5.2 * rows), paint, told)


def _terminal(panel: ScatterPanel, width: int, color: bool) -> str:
    import plotext as plt

    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, _HEIGHT)
    legend = []
    for group in panel.groups:
        shade, sign = TERMINAL_COLORS[group.color % len(TERMINAL_COLORS)], SIGNS[group.mark % len(SIGNS)]
        xs, ys = [x for x, _ in group.points], [y for _, y in group.points]
        plt.scatter(xs, ys, color=shade, marker=sign)
        if group.written:
            for label, x, y in zip(group.labels, xs, ys, strict=True):
                plt.text(f" {printable(label)}", x, y, color=shade, alignment="left")
        named = f"{sign} {printable(group.name)} ({len(group.points)})"
        legend.append(str(plt.colorize(named, shade)) if color else named)
    plt.xlabel(panel.x_label)
    drawn = plt.build() if color else plt.uncolorize(plt.build())
    told = f"{printable(panel.title)} — {panel.y_label} up"
    return "\n".join([told, *legend, *(line.rstrip() for line in drawn.splitlines())])


def _draw(panel: ScatterPanel, axes: Axes) -> None:
    for group in panel.groups:
        xs, ys = [x for x, _ in group.points], [y for _, y in group.points]
        shade = COLORS[group.color % len(COLORS)]
        if group.joined:
            axes.plot(xs, ys, color=shade, linewidth=0.8, alpha=0.5)
        axes.scatter(
            xs, ys, s=26, color=shade, marker=MARKERS[group.mark % len(MARKERS)], alpha=0.8, linewidth=0,
            label=f"{group.name} ({len(group.points)})",
        )  # fmt: skip
        if group.written:
            for label, x, y in zip(group.labels, xs, ys, strict=True):
                axes.annotate(label, (x, y), (4, 4), textcoords="offset points", fontsize=7.5, color=shade)
    axes.axhline(0, color="#dddddd", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#dddddd", linewidth=0.8, zorder=0)
    axes.margins(0.08)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2)
