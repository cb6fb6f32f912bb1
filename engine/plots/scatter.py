"""Points in a plane, by group: what lies near what, and the line through them. One or more panels, in a grid.

Owns how scatters look. The colour of a group says one thing about it, its mark another. Many points are small and faint, and a
raster inside the SVG.
"""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.plots.style import COLORS, MARKERS, SIGNS, TERMINAL_COLORS, axes_grid, draw, grid, headed
from engine.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 22
_BESIDE = 34  # letters up to which two legends stand beside each other
_MANY = 300  # points of a group, beyond which single ones matter little


@dataclass(frozen=True, slots=True)
class FitLine:
    """y = slope·x + intercept over `span`, from x to x. `told`: how well it fits, for the legend."""

    slope: float
    intercept: float
    span: tuple[float, float]
    told: str = ""

    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The xs of both ends, and their ys."""
        low, high = self.span
        return self.span, (self.slope * low + self.intercept, self.slope * high + self.intercept)


@dataclass(frozen=True, slots=True)
class ScatterGroup:
    """`points`: (x, y). `labels`: one for each point, written beside it where `written`, always in the CSV. `joined`: a line
    leads from point to point. `fit`: a straight line through them, or without them.
    `labels` may be empty."""

    name: str
    points: tuple[tuple[float, float], ...]
    color: int
    mark: int
    labels: tuple[str, ...]
    written: bool = False
    joined: bool = False
    fit: FitLine | None = None

    def legend(self) -> str:
        counted = [str(len(self.points))] if self.points or self.fit is None else []
        told = [self.fit.told] if self.fit is not None and self.fit.told else []
        return f"{self.name} ({', '.join(counted + told)})" if counted or told else self.name


@dataclass(frozen=True, slots=True)
class ScatterPanel:
    """`origin`: draw the axes through 0. `note`: what is not drawn, and why."""

    title: str
    x_label: str
    y_label: str
    groups: tuple[ScatterGroup, ...]
    origin: bool = True
    note: str = ""

    def legend_columns(self) -> int:
        return 2 if max((len(group.legend()) for group in self.groups), default=0) <= _BESIDE else 1


@dataclass(frozen=True, slots=True)
class ScatterPicture:
    panels: tuple[ScatterPanel, ...]

    def text(self, width: int, color: bool) -> str:
        return "\n\n".join(_terminal(panel, width, color) for panel in self.panels)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["panel", "group", "label", "x_name", "x", "y_name", "y", "slope", "intercept"])
        for panel in self.panels:
            for group in panel.groups:
                line = ("", "") if group.fit is None else (f"{group.fit.slope:.6g}", f"{group.fit.intercept:.6g}")
                for label, (x, y) in zip(group.labels or ("",) * len(group.points), group.points, strict=True):
                    place = [panel.x_label, f"{x:.6f}", panel.y_label, f"{y:.6f}"]
                    writer.writerow([panel.title, group.name, label, *place, *line])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        rows, columns = grid(len(self.panels))
        explained = max(math.ceil(len(panel.groups) / panel.legend_columns()) for panel in self.panels)

        def paint(figure: Figure) -> None:
            for panel, axes in zip(self.panels, axes_grid(figure, len(self.panels)), strict=True):
                _draw(panel, axes)

        return draw((5.8 * columns, (5.2 + 0.2 * max(explained - 3, 0)) * rows), paint, told)


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
        if group.fit is not None:
            plt.plot(*map(list, group.fit.ends()), color=shade, marker="braille")
        named = textwrap.shorten(f"{sign} {printable(group.legend())}", width, placeholder="…")
        legend.append(str(plt.colorize(named, shade)) if color else named)
    plt.xlabel(panel.x_label)
    drawn = plt.build() if color else plt.uncolorize(plt.build())
    told = [
        f"{printable(panel.title)} — {panel.y_label} up",
        *textwrap.wrap(printable(panel.note), width, break_on_hyphens=False),
    ]
    return "\n".join([*told, *legend, *(line.rstrip() for line in drawn.splitlines())])


def _draw(panel: ScatterPanel, axes: Axes) -> None:
    many = any(len(group.points) > _MANY for group in panel.groups)  # of all: else the smallest group would hide the others
    for group in panel.groups:
        xs, ys = [x for x, _ in group.points], [y for _, y in group.points]
        shade = COLORS[group.color % len(COLORS)]
        if group.joined:
            axes.plot(xs, ys, color=shade, linewidth=0.8, alpha=0.5)
        axes.scatter(
            xs, ys, s=8 if many else 26, color=shade, marker=MARKERS[group.mark % len(MARKERS)], alpha=0.3 if many else 0.8,
            linewidth=0, label=group.legend() if xs or group.fit is None else None, rasterized=many,
        )  # fmt: skip
        if group.fit is not None:
            axes.plot(*group.fit.ends(), color="white", linewidth=3.4, zorder=3)  # a rim: lines cross their own points
            label = None if xs else group.legend()
            axes.plot(*group.fit.ends(), color=shade, linewidth=1.8, zorder=3, label=label)
        if group.written:
            for label, x, y in zip(group.labels, xs, ys, strict=True):
                axes.annotate(label, (x, y), (4, 4), textcoords="offset points", fontsize=7.5, color=shade)
    if panel.origin:
        axes.axhline(0, color="#dddddd", linewidth=0.8, zorder=0)
        axes.axvline(0, color="#dddddd", linewidth=0.8, zorder=0)
    axes.margins(0.08)
    headed(axes, panel.title, panel.note)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    legend = axes.legend(
        frameon=False,
        fontsize=8.5,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=4.4,  # in letters, below the axis' label: a share of the panel's height would shrink with it
        ncols=panel.legend_columns(),
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(0.9)  # faint points are strong where they are explained
