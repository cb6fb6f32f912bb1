"""Curves with bands over an axis: one or more panels, in a grid.

Owns how curves look and how their numbers are told; what they mean belongs to the method that made them.
"""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from engine.judges.verdict import NO_ANSWER
from engine.plots.style import COLORS, MARKERS, QUIET, SIGNS, TERMINAL_COLORS, axes_grid, draw, grid, plain_steps
from engine.printable import printable
from engine.text_table import text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REMARK_WIDTH = 92
_LABEL_WIDTH = 44
_HEIGHT = 18
_MOST_TICKS = 17
_NARROW = 1.6  # times, up to which a logarithmic axis would look like a plain one with few ticks
_MOST_BEHIND = 4  # points by which marks grow
_FULL = 24  # points, beyond which marks would hide the line


@dataclass(frozen=True, slots=True)
class Point:
    """`mean` over `units` (items or prompts) of their means; [`low`, `high`] is the band. `labels`: how often a judge gave
    each, those that are left out too."""

    x: float
    mean: float
    low: float
    high: float
    units: int
    observations: int
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Curve:
    """`labels`: at each x, where nothing was answered too: that is no point."""

    name: str
    points: tuple[Point, ...]
    labels: Mapping[float, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. `counts` says what each curve's numbers rest on, `note` what the bands are (empty: there are none);
    `follows` gives the curve whose colour a curve takes, dashed (a control, or the other sign). `remarks`: whole sentences
    about all of it. Without `y_range` the axis holds every band. `digits` behind the point; `logarithmic`: the y axis."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    counts: Mapping[str, str]
    note: str
    follows: Mapping[str, str] = field(default_factory=dict)
    y_range: tuple[float, float] | None = (0, 1)
    remarks: tuple[str, ...] = ()
    x_name: Literal["multiplier", "layer", "cycle"] = "multiplier"
    digits: int = 2
    logarithmic: bool = False

    def color(self, curve: Curve) -> int:
        """The curve's place in the colour cycle."""
        own = [one.name for one in self.curves if one.name not in self.follows]
        return own.index(self.follows.get(curve.name, curve.name))

    def xs(self) -> list[float]:
        return sorted({point.x for curve in self.curves for point in curve.points})

    def x_text(self, x: float) -> str:
        return f"{x:.0f}" if self.x_name != "multiplier" else f"{x:+.2f}" if x else "0.00"

    def limits(self) -> tuple[float, float]:
        if self.y_range is not None:
            return self.y_range
        low = min(point.low for curve in self.curves for point in curve.points)
        high = max(point.high for curve in self.curves for point in curve.points)
        if self.logarithmic:
            room = max(high / low, 1.05) ** 0.05
            return low / room, high * room
        room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        return low - room, high + room


@dataclass(frozen=True, slots=True)
class CurvePicture:
    panels: tuple[Panel, ...]

    def text(self, width: int, color: bool) -> str:
        parts = (
            f"{heading(panel, width)}\n\n{table(panel, width)}\n\n{terminal(panel, width, color=color)}"
            for panel in self.panels
        )
        return "\n\n".join(parts)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = {panel.x_name for panel in self.panels}
        x_name = names.pop() if len(names) == 1 else "x"
        writer.writerow(
            ["panel", "measure", "curve", x_name, "mean", "low", "high", "band", "units", "observations", *NO_ANSWER]
        )
        for panel in self.panels:
            for curve in panel.curves:
                for at in curve.points:
                    numbers = [f"{number:.6f}" for number in (at.mean, at.low, at.high)]
                    counts = [at.units, at.observations, *(at.labels.get(label, 0) for label in NO_ANSWER)]
                    x = int(at.x) if panel.x_name != "multiplier" else at.x
                    writer.writerow([panel.title, panel.y_label, curve.name, x, *numbers, panel.note, *counts])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        rows, columns = grid(len(self.panels))
        deepest = max(_legend_rows(panel) for panel in self.panels)
        height = 4.3 + 0.22 * deepest + 0.16 * max(len(_remarks(panel)) for panel in self.panels)

        def paint(figure: Figure) -> None:
            for panel, axes in zip(self.panels, axes_grid(figure, len(self.panels)), strict=True):
                _draw(panel, axes)

        return draw((6.6 * columns, height * rows), paint, told)


def heading(panel: Panel, width: int = 80) -> str:
    """Title, axis and counts, wrapped to `width` columns."""
    counts = "; ".join(f"{name} {count}" for name, count in panel.counts.items())
    told = "; ".join(part for part in (counts, panel.note) if part)
    lines = (f"{panel.title} — {panel.y_label}", told, *panel.remarks)
    return "\n".join(textwrap.fill(printable(line), width) for line in lines if line)


def table(panel: Panel, width: int = 80) -> str:
    """The panel's numbers, one row per x: mean and band of every curve."""
    xs = panel.xs()
    columns = []
    for curve in panel.curves:
        known = {point.x: point for point in curve.points}
        cells = [_cell(known.get(x), panel) for x in xs]
        columns.append((textwrap.shorten(printable(curve.name), 30, placeholder="…"), cells))
    name = "  × v" if panel.x_name == "multiplier" else panel.x_name
    return text_table((name, [panel.x_text(x).rjust(5) for x in xs]), columns, numbers=True, width=width)


def terminal(panel: Panel, width: int = 80, lines: int = _HEIGHT, color: bool = True) -> str:
    """The panel's lines as text, at most `width` columns, under a legend of their marks."""
    import plotext as plt

    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, lines)
    height = math.log if panel.logarithmic else float
    legend = []
    for number, curve in enumerate(panel.curves):
        xs, ys = [point.x for point in curve.points], [height(point.mean) for point in curve.points]
        shade = TERMINAL_COLORS[panel.color(curve) % len(TERMINAL_COLORS)]
        sign = SIGNS[number % len(SIGNS)]
        if curve.name not in panel.follows:
            plt.plot(xs, ys, color=shade, marker="braille")
        plt.scatter(xs, ys, color=shade, marker=sign)
        legend.append((f"{sign} {printable(curve.name)}", shade))
    low, high = map(height, panel.limits())
    ticks = [low + (high - low) * quarter / 4 for quarter in range(5)]
    plt.ylim(low, high)
    plt.yticks(ticks, _tick_names([math.exp(tick) if panel.logarithmic else tick for tick in ticks]))
    xs = panel.xs()
    plt.xticks(xs, [f"{x:g}" for x in xs])
    plt.xlabel(panel.x_label)
    drawn = plt.build() if color else plt.uncolorize(plt.build())
    said = _legend_text(legend, width, color)
    return "\n".join([said, *(line.rstrip() for line in drawn.splitlines())])


def _legend_text(entries: Sequence[tuple[str, str]], width: int, color: bool) -> str:
    """The marks and their curves, as many on a line as fit."""
    import plotext as plt

    lines: list[str] = []
    room = 0
    for text, shade in entries:
        shown = str(plt.colorize(text, shade)) if color else text
        if len(text) + 3 > room:
            lines.append(shown)
            room = width - len(text)
        else:
            lines[-1] += "   " + shown
            room -= len(text) + 3
    return "\n".join(lines)


def _tick_names(ticks: Sequence[float]) -> list[str]:
    reach = ticks[-1] - ticks[0]
    digits = 2 if reach <= 2 else 1 if reach <= 20 else 0
    return [f"{tick:.{digits}f}" for tick in ticks]


def _cell(at: Point | None, panel: Panel) -> str:
    """A mean with its band, where the panel has bands."""
    if at is None:
        return ""
    mean, low, high = (f"{number:.{panel.digits}f}" for number in (at.mean, at.low, at.high))
    return f"{mean} [{low}–{high}]" if panel.note else mean


def _remarks(panel: Panel) -> list[str]:
    return [line for remark in (panel.note, *panel.remarks) if remark for line in textwrap.wrap(remark, _REMARK_WIDTH)]


def _legend_columns(panel: Panel) -> int:
    widest = max(len(f"{curve.name} ({panel.counts.get(curve.name, '')})") for curve in panel.curves)
    return 1 if widest > 42 else 2 if widest > 26 else 3


def _legend_rows(panel: Panel) -> int:
    return -(-len(panel.curves) // _legend_columns(panel))


def _draw(panel: Panel, axes: Axes) -> None:
    few = len(panel.xs()) <= _FULL
    for number, curve in enumerate(panel.curves):
        follower = curve.name in panel.follows
        place = panel.color(curve)
        behind = len(panel.curves) - 1 - number  # of two lines that are the same, the marks of the first still show
        shade = COLORS[place % len(COLORS)]
        xs = [point.x for point in curve.points]
        lows, highs = [point.low for point in curve.points], [point.high for point in curve.points]
        count = panel.counts.get(curve.name)
        axes.fill_between(xs, lows, highs, color=shade, alpha=0.08 if follower else 0.16, linewidth=0)
        axes.plot(
            xs,
            [point.mean for point in curve.points],
            color=shade,
            marker=MARKERS[place % len(MARKERS)],
            alpha=0.7 if follower else 1,
            linestyle="--" if follower else "-",
            linewidth=1.3 if follower else 2,
            markersize=((3 if follower else 5) + min(behind, _MOST_BEHIND)) if few else 0,
            label=f"{curve.name} ({count})" if count else curve.name,
        )
    _axes(panel, axes)
    axes.legend(
        frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=_legend_columns(panel),
        handlelength=2.6, columnspacing=1.4,
    )  # fmt: skip


def _axes(panel: Panel, axes: Axes) -> None:
    low, high = panel.limits()
    if panel.logarithmic and high / low > _NARROW:
        _logarithmic(axes, low, high)
    else:
        axes.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    if low < 0 < high:
        axes.axhline(0, color="#bbbbbb", linewidth=0.9, zorder=0)
    if panel.x_name == "multiplier":
        axes.axvline(0, color="#cccccc", linewidth=0.8, zorder=0)
    else:
        xs = panel.xs()
        axes.set_xticks(xs[:: -(-len(xs) // _MOST_TICKS)])
    remarks = _remarks(panel)
    axes.set_title(panel.title, pad=7 + 10.3 * len(remarks))
    said = "\n".join(remarks)
    axes.annotate(said, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=7.5, color=QUIET)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(textwrap.fill(panel.y_label, _LABEL_WIDTH))
    axes.grid(axis="y", color="#e8e8e8", linewidth=0.8)
    axes.set_axisbelow(True)


def _logarithmic(axes: Axes, low: float, high: float) -> None:
    """A few plain numbers beside the axis instead of powers of ten."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    steps = plain_steps(low, high)
    axes.set_yticks(steps, [f"{step:.3g}" for step in steps])
    axes.minorticks_off()
