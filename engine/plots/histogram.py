"""How numbers are spread: histograms with a smooth density over them, several series on common bins. One or more panels.

Owns bins, the density and how they look. In the terminal the outlines of the histograms are drawn, over a table of quantiles.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from engine.plots.style import COLORS, SIGNS, TERMINAL_COLORS, axes_grid, draw, grid, headed
from engine.printable import printable
from engine.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

_HEIGHT = 16
_CURVE_POINTS = 200
_LONGEST_NAME = 30
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Histogram:
    """One pair of axes. series: name → its numbers, finite. `smooth`: draw a density, too; `logarithmic`: the counts' axis.
    `decades`: bins of equal width on a logarithmic scale, all numbers being above 0; densities are then per decade. The
    histograms of one panel have the same bins. An empty series is told of, not drawn."""

    title: str
    x_label: str
    series: Mapping[str, Sequence[float]]
    bins: int = 30
    smooth: bool = True
    logarithmic: bool = False
    note: str = ""
    decades: bool = False

    def scaled(self, values: ArrayLike) -> NDArray[np.float64]:
        """Numbers as they lie on the axis: decimal logarithms where it has decades."""
        return np.log10(values) if self.decades else np.asarray(values, dtype=np.float64)

    def edges(self) -> NDArray[np.float64]:
        """Of the bins, [bins + 1], on the axis."""
        scaled = [self.scaled(values) for values in self.series.values() if len(values)]
        ends = (min(one.min() for one in scaled), max(one.max() for one in scaled)) if scaled else (0.0, 1.0)
        return np.histogram_bin_edges([], self.bins, ends)

    def counts(self, values: Sequence[float]) -> NDArray[np.int64]:
        return np.histogram(self.scaled(values), self.edges())[0]

    def density(self, values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A Gaussian kernel density: places on the axis and heights, on the scale of a histogram of area 1. Empty where the
        numbers are too few, or all the same."""
        scaled = self.scaled(values)
        if not self.smooth or len(scaled) < 3 or np.ptp(scaled) == 0:
            return np.empty(0), np.empty(0)
        from scipy.stats import gaussian_kde

        edges = self.edges()
        places = np.linspace(edges[0], edges[-1], _CURVE_POINTS)
        return places, gaussian_kde(scaled)(places)

    def plain(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places on the axis as numbers."""
        return 10**places if self.decades else places


@dataclass(frozen=True, slots=True)
class HistogramPicture:
    panels: tuple[Histogram, ...]

    def text(self, width: int, color: bool) -> str:
        return "\n\n".join(_terminal(panel, width, color) for panel in self.panels)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["panel", "measure", "series", "drawn", "low", "high", "count", "density"])
        for panel in self.panels:
            edges = panel.edges()
            for name, values in panel.series.items():
                counts = panel.counts(values)
                heights = counts / (max(len(values), 1) * np.diff(edges))
                plain = [f"{edge:.6g}" for edge in panel.plain(edges)]
                for place, count, height in zip(pairwise(plain), counts, heights, strict=True):
                    writer.writerow([panel.title, panel.x_label, name, "bin", *place, count, f"{height:.6g}"])
                places, heights = panel.density(values)
                for place, height in zip(panel.plain(places), heights, strict=True):
                    told = f"{place:.6g}"
                    writer.writerow([panel.title, panel.x_label, name, "curve", told, told, "", f"{height:.6g}"])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        rows, columns = grid(len(self.panels))
        most = max(len(panel.series) for panel in self.panels)

        def paint(figure: Figure) -> None:
            for panel, axes in zip(self.panels, axes_grid(figure, len(self.panels)), strict=True):
                _draw(panel, axes)

        return draw((5.8 * columns, (3.8 + 0.2 * most) * rows), paint, told)


def _terminal(panel: Histogram, width: int, color: bool) -> str:
    import plotext as plt

    parts = [textwrap.fill(printable(line), width) for line in (f"{panel.title} — {panel.x_label}", panel.note) if line]
    parts += ["", _table(panel, width), ""]
    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, _HEIGHT)
    edges = panel.edges()
    middles = (edges[:-1] + edges[1:]) / 2
    for number, (name, values) in enumerate(panel.series.items()):
        shade, sign = TERMINAL_COLORS[number % len(TERMINAL_COLORS)], SIGNS[number % len(SIGNS)]
        heights = panel.counts(values) / max(len(values), 1)
        shown = np.log10(heights[heights > 0]) if panel.logarithmic else heights
        places = middles[heights > 0] if panel.logarithmic else middles
        plt.plot(places.tolist(), shown.tolist(), color=shade, marker="braille")
        named = f"{sign} {printable(name)}"
        parts.append(str(plt.colorize(named, shade)) if color else named)
        if len(panel.series) > 1:
            plt.scatter(places[::3].tolist(), shown[::3].tolist(), color=shade, marker=sign)
    up = "lg of the share of each bin" if panel.logarithmic else "share of each bin"
    plt.xlabel(f"{'lg of ' if panel.decades else ''}{panel.x_label} ({up} up)")
    drawn = plt.build() if color else plt.uncolorize(plt.build())
    return "\n".join([*parts, *(line.rstrip() for line in drawn.splitlines())])


def _table(panel: Histogram, width: int) -> str:
    names = [textwrap.shorten(printable(name), _LONGEST_NAME, placeholder="…") or "?" for name in panel.series]
    columns = [("n", [str(len(values)) for values in panel.series.values()])]
    columns.append(("mean", [f"{np.mean(values):.3g}" if len(values) else "–" for values in panel.series.values()]))
    for share in _QUANTILES:
        told = [f"{np.quantile(values, share):.3g}" if len(values) else "–" for values in panel.series.values()]
        columns.append((f"{share:.0%}", told))
    return text_table(("", names), columns, numbers=True, width=width)


def _draw(panel: Histogram, axes: Axes) -> None:
    edges = panel.edges()
    for number, (name, values) in enumerate(panel.series.items()):
        shade = COLORS[number % len(COLORS)]
        label = f"{name} ({len(values)})"
        if not len(values):
            axes.plot([], [], color=shade, label=label)
            continue
        density = panel.counts(values) / (len(values) * np.diff(edges))
        alone = len(panel.series) == 1
        axes.stairs(density, panel.plain(edges), color=shade, fill=True, alpha=0.35 if alone else 0.16)
        axes.stairs(density, panel.plain(edges), color=shade, linewidth=0.8, alpha=0.7, label=label)
        places, heights = panel.density(values)
        axes.plot(panel.plain(places), heights, color=shade, linewidth=1.8)
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")  # powers of ten would be set as formulas, which the style keeps out
    headed(axes, panel.title, panel.note)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel("density per decade" if panel.decades else "density")
    if panel.decades:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    widest = max(map(len, panel.series), default=0)
    axes.legend(
        frameon=False,
        fontsize=8.5,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=4.4,
        ncols=2 if widest <= 26 else 1,
    )
