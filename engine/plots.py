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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#377eb8", "#ff7f00", "#4daf4a", "#984ea3", "#a65628", "#f781bf")
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
    """One pair of axes. `counts` says what each curve's numbers rest on, `note` what the bands are; `control_of` gives the
    curve that a control belongs to, whose colour it takes, dashed."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[CurveLike, ...]
    counts: Mapping[str, str]
    note: str
    control_of: Mapping[str, str]

    def color(self, curve: CurveLike) -> int:
        """The curve's place in the colour cycle."""
        own = [one.name for one in self.curves if one.name not in self.control_of]
        return own.index(self.control_of.get(curve.name, curve.name))


def heading(panel: Panel, width: int = 80) -> str:
    """Title, axis and counts, wrapped to `width` columns."""
    counts = "; ".join(f"{name} {count}" for name, count in panel.counts.items())
    lines = (f"{panel.title} — {panel.y_label}", f"{counts}; {panel.note}")
    return "\n".join(textwrap.fill(line, width) for line in lines)


def table(panel: Panel) -> str:
    """The panel's numbers, one row per x: mean and interval of every curve. Four curves fit 80 columns."""
    xs = sorted({point.multiplier for curve in panel.curves for point in curve.points})
    columns = [{point.multiplier: point for point in curve.points} for curve in panel.curves]
    lines = ["  ".join(["  × v", *(curve.name[:16].rjust(16) for curve in panel.curves)])]
    for x in xs:
        found = (column.get(x) for column in columns)
        cells = (f"{at.mean:.2f} [{at.low:.2f}–{at.high:.2f}]" if at else "" for at in found)
        lines.append("  ".join([f"{x:+.2f}", *(cell.rjust(16) for cell in cells)]))
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
    writer.writerow(["panel", "curve", "multiplier", "mean", "low95", "high95", "units", "observations"])
    for panel in panels:
        for curve in panel.curves:
            for at in curve.points:
                numbers = [f"{number:.6f}" for number in (at.mean, at.low, at.high)]
                writer.writerow([panel.y_label, curve.name, at.multiplier, *numbers, at.units, at.observations])
    return out.getvalue()


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
    ax.set_ylim(-0.03, 1.03)
    ax.set_title(panel.title, pad=20)
    ax.annotate(panel.note, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8, color="#777777")
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.grid(axis="y", color="#e8e8e8", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
