"""Curves as pictures: in the terminal, as PNG, and their numbers as CSV and as a table.

Owns how curves look; what they mean belongs to the method that made them. A picture is one or more panels side by side.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

COLORS = ("#377eb8", "#ff7f00", "#4daf4a", "#984ea3", "#a65628", "#f781bf")
QUIET = "#8a8a8a"  # controls
_MARKERS = ("●", "▲", "■", "◆", "○", "+")
_TERMINAL_COLORS = ("blue+", "orange", "green+", "magenta+", "red", "cyan+")


class PointLike(Protocol):
    @property
    def multiplier(self) -> float: ...
    @property
    def mean(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def units(self) -> int: ...
    @property
    def observations(self) -> int: ...


class CurveLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def points(self) -> Sequence[PointLike]: ...


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. `control` names a curve to draw in grey; `counts` says what the numbers rest on."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[CurveLike, ...]
    counts: str
    controls: frozenset[str] = frozenset()


def table(panel: Panel) -> str:
    """The panel's numbers, one row per x: mean and interval of every curve."""
    xs = sorted({point.multiplier for curve in panel.curves for point in curve.points})
    columns = [{point.multiplier: point for point in curve.points} for curve in panel.curves]
    widths = [max(len(curve.name), 17) for curve in panel.curves]
    lines = ["  ".join(["multiplier", *(curve.name.rjust(width) for curve, width in zip(panel.curves, widths, strict=True))])]
    for x in xs:
        cells = []
        for column, width in zip(columns, widths, strict=True):
            at = column.get(x)
            cells.append((f"{at.mean:.3f} [{at.low:.2f}, {at.high:.2f}]" if at else "").rjust(width))
        lines.append("  ".join([f"{x:+10.2f}", *cells]))
    return "\n".join(lines)


def terminal(panel: Panel, width: int = 80, height: int = 20, color: bool = True) -> str:
    """The panel as text, at most `width` columns."""
    import plotext as plt

    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, height)
    for number, curve in enumerate(panel.curves):
        xs, ys = [point.multiplier for point in curve.points], [point.mean for point in curve.points]
        shade = "gray" if curve.name in panel.controls else _TERMINAL_COLORS[number % len(_TERMINAL_COLORS)]
        plt.plot(xs, ys, color=shade, marker="braille")
        plt.scatter(xs, ys, color=shade, marker=_MARKERS[number % len(_MARKERS)], label=curve.name)
    plt.ylim(0, 1)
    plt.yticks([0, 0.25, 0.5, 0.75, 1])
    plt.xticks(sorted({point.multiplier for curve in panel.curves for point in curve.points}))
    plt.xlabel(panel.x_label)
    drawn = plt.build() if color else plt.uncolorize(plt.build())
    return "\n".join(line.rstrip() for line in drawn.splitlines())


def png(panels: Sequence[Panel]) -> bytes:
    """The panels side by side, with their bands."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#555555",
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "xtick.color": "#555555",
        "ytick.color": "#555555",
    }
    with plt.rc_context(style):
        figure, axes = plt.subplots(1, len(panels), figsize=(6.2 * len(panels), 4.6), squeeze=False, layout="constrained")
        for panel, ax in zip(panels, axes[0], strict=True):
            _draw(panel, ax)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160)
        plt.close(figure)
    return buffer.getvalue()


def csv_text(panels: Sequence[Panel]) -> str:
    """Every number of the picture."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["panel", "curve", "multiplier", "mean", "low95", "high95", "units", "observations"])
    for panel in panels:
        for curve in panel.curves:
            for at in curve.points:
                numbers = [f"{number:.6f}" for number in (at.mean, at.low, at.high)]
                writer.writerow([panel.y_label, curve.name, at.multiplier, *numbers, at.units, at.observations])
    return out.getvalue()


def _draw(panel: Panel, ax) -> None:
    for number, curve in enumerate(panel.curves):
        control = curve.name in panel.controls
        shade = QUIET if control else COLORS[number % len(COLORS)]
        xs = [point.multiplier for point in curve.points]
        lows, highs = [point.low for point in curve.points], [point.high for point in curve.points]
        ax.fill_between(xs, lows, highs, color=shade, alpha=0.15, linewidth=0)
        means = [point.mean for point in curve.points]
        line = {"linestyle": "--", "linewidth": 1.4} if control else {"linestyle": "-", "linewidth": 2}
        ax.plot(xs, means, color=shade, marker="o", markersize=3.5 if control else 5, label=curve.name, **line)
    ax.axvline(0, color="#cccccc", linewidth=0.8, zorder=0)
    ax.axhline(0.5, color="#cccccc", linewidth=0.8, zorder=0)
    ax.set_ylim(-0.03, 1.03)
    ax.set_title(panel.title)
    ax.set_xlabel(panel.x_label)
    below = {"xycoords": "axes fraction", "textcoords": "offset points"}
    ax.annotate(panel.counts, (0.5, 0), (0, -46), ha="center", fontsize=8, color="#777777", **below)
    ax.set_ylabel(panel.y_label)
    ax.grid(axis="y", color="#eeeeee", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, loc="best")
