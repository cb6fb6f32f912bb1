"""Curves as pictures: in the terminal, as PNG, and their numbers as CSV and as a table.

Owns how curves look; what they mean belongs to the method that made them. A picture is one or more panels side by side.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.judges.verdict import NO_ANSWER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#377eb8", "#ff7f00", "#4daf4a", "#984ea3", "#a65628", "#f781bf")
_REMARK_WIDTH = 90
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
    @property
    def labels(self) -> Mapping[str, int]: ...


class CurveLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def points(self) -> Sequence[PointLike]: ...


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. `counts` says what each curve's numbers rest on, `note` what the bands are; `control_of` gives the
    curve that a control belongs to, whose colour it takes, dashed. `remarks`: whole sentences about all of it."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[CurveLike, ...]
    counts: Mapping[str, str]
    note: str
    control_of: Mapping[str, str]
    y_range: tuple[float, float] = (0, 1)
    remarks: tuple[str, ...] = ()

    def color(self, curve: CurveLike) -> int:
        """The curve's place in the colour cycle."""
        own = [one.name for one in self.curves if one.name not in self.control_of]
        return own.index(self.control_of.get(curve.name, curve.name))


def heading(panel: Panel, width: int = 80) -> str:
    """Title, axis and counts, wrapped to `width` columns."""
    counts = "; ".join(f"{name} {count}" for name, count in panel.counts.items())
    lines = (f"{panel.title} — {panel.y_label}", f"{counts}; {panel.note}", *panel.remarks)
    return "\n".join(textwrap.fill(line, width) for line in lines)


def table(panel: Panel) -> str:
    """The panel's numbers, one row per x: mean and interval of every curve. Four curves fit 80 columns."""
    xs = sorted({point.multiplier for curve in panel.curves for point in curve.points})
    columns = [{point.multiplier: point for point in curve.points} for curve in panel.curves]
    rows = [[_with_interval(column.get(x)) for column in columns] for x in xs]
    width = max(16, *(len(cell) for row in rows for cell in row))
    lines = ["  ".join(["  × v", *(curve.name[:width].rjust(width) for curve in panel.curves)])]
    lines += ["  ".join([f"{x:+.2f}", *(cell.rjust(width) for cell in row)]) for x, row in zip(xs, rows, strict=True)]
    return "\n".join(lines)


def terminal(panel: Panel, width: int = 80, height: int = 20, color: bool = True) -> str:
    """The panel as text, at most `width` columns."""
    import plotext as plt

    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, height)
    for number, curve in enumerate(panel.curves):
        xs, ys = [point.multiplier for point in curve.points], [point.mean for point in curve.points]
        shade = "gray" if curve.name in panel.control_of else _TERMINAL_COLORS[panel.color(curve) % len(_TERMINAL_COLORS)]
        plt.plot(xs, ys, color=shade, marker="braille")
        plt.scatter(xs, ys, color=shade, marker=_MARKERS[number % len(_MARKERS)], label=curve.name)
    low, high = panel.y_range
    plt.ylim(low, high)
    plt.yticks([low + (high - low) * quarter / 4 for quarter in range(5)])
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
        figure, axes = plt.subplots(1, len(panels), figsize=(6.4 * len(panels), 5), squeeze=False, layout="constrained")
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
    writer.writerow(["panel", "curve", "multiplier", "mean", "low95", "high95", "units", "observations", *NO_ANSWER])
    for panel in panels:
        for curve in panel.curves:
            for at in curve.points:
                numbers = [f"{number:.6f}" for number in (at.mean, at.low, at.high)]
                counts = [at.units, at.observations, *(at.labels.get(label, 0) for label in NO_ANSWER)]
                writer.writerow([panel.y_label, curve.name, at.multiplier, *numbers, *counts])
    return out.getvalue()


def _with_interval(at: PointLike | None) -> str:
    return f"{at.mean:.2f} [{at.low:.2f}–{at.high:.2f}]" if at else ""


def _draw(panel: Panel, ax: Axes) -> None:
    for curve in panel.curves:
        control = curve.name in panel.control_of
        shade = COLORS[panel.color(curve) % len(COLORS)]
        xs = [point.multiplier for point in curve.points]
        lows, highs = [point.low for point in curve.points], [point.high for point in curve.points]
        ax.fill_between(xs, lows, highs, color=shade, alpha=0.08 if control else 0.18, linewidth=0)
        ax.plot(
            xs,
            [point.mean for point in curve.points],
            color=shade,
            marker="o",
            alpha=0.6 if control else 1,
            linestyle="--" if control else "-",
            linewidth=1.3 if control else 2,
            markersize=3 if control else 5,
            label=f"{curve.name} ({panel.counts[curve.name]})",
        )
    ax.axvline(0, color="#cccccc", linewidth=0.8, zorder=0)
    low, high = panel.y_range
    ax.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    remarks = [line for remark in (panel.note, *panel.remarks) for line in textwrap.wrap(remark, _REMARK_WIDTH)]
    ax.set_title(panel.title, pad=8 + 12 * len(remarks))
    said = "\n".join(remarks)
    ax.annotate(said, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8, color="#777777")
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.grid(axis="y", color="#e8e8e8", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
