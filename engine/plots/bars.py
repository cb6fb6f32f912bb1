"""Named numbers as bars beside their names, the order as given: one or more panels.

Owns how bars look. Bars lie, so that long names and many of them stay readable.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.plots.style import COLORS, QUIET, TERMINAL_COLORS, axes_grid, draw, grid, headed
from engine.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST_NAME, _LONGEST_DRAWN = 28, 44
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_INK = {"blue+": "94", "orange": "33", "green+": "92", "magenta+": "95", "red": "31", "cyan+": "96", "red+": "91"}


@dataclass(frozen=True, slots=True)
class Bar:
    """[`low`, `high`]: its interval, where it has one. `group`: its place in the colour cycle. `note`: said behind it."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    group: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class BarPanel:
    """`groups`: what the colours mean, where they mean something. `digits` behind the point; None: three that count. At least
    one bar."""

    title: str
    x_label: str
    bars: tuple[Bar, ...]
    groups: tuple[str, ...] = ()
    digits: int | None = 2
    note: str = ""

    def said(self, value: float) -> str:
        return f"{value:.3g}" if self.digits is None else f"{value:.{self.digits}f}"

    def reach(self) -> tuple[float, float]:
        """The ends of the axis, which holds 0, every bar and every interval."""
        ends = [end for bar in self.bars for end in (bar.value, bar.low, bar.high) if end is not None]
        return min(0.0, *ends), max(0.0, *ends)


@dataclass(frozen=True, slots=True)
class BarPicture:
    panels: tuple[BarPanel, ...]

    def text(self, width: int, color: bool) -> str:
        return "\n\n".join(_terminal(panel, width, color) for panel in self.panels)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["panel", "measure", "bar", "group", "value", "low", "high", "note"])
        for panel in self.panels:
            for bar in panel.bars:
                group = panel.groups[bar.group] if panel.groups else ""
                ends = ["" if end is None else f"{end:.6f}" for end in (bar.value, bar.low, bar.high)]
                writer.writerow([panel.title, panel.x_label, bar.name, group, *ends, bar.note])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        rows, columns = grid(len(self.panels))
        longest = max(len(panel.bars) for panel in self.panels)

        def paint(figure: Figure) -> None:
            for panel, axes in zip(self.panels, axes_grid(figure, len(self.panels)), strict=True):
                _draw(panel, axes)

        return draw((6.8 * columns, max(2.4, 0.25 * longest + 1.5) * rows), paint, told)


def _terminal(panel: BarPanel, width: int, color: bool) -> str:
    names = [_short(bar.name, _LONGEST_NAME) for bar in panel.bars]
    said = [_said(bar, panel) for bar in panel.bars]
    left, right = max(map(len, names)), max(map(len, said))
    room = max(width - left - right - 3, 8)
    low, high = panel.reach()
    lines = []
    for bar, name, number in zip(panel.bars, names, said, strict=True):
        drawn = _bar(bar.value, low, high, room)
        if color:
            shade = TERMINAL_COLORS[bar.group % len(_INK)]
            drawn = f"\x1b[{_INK[shade]}m{drawn}\x1b[0m"
        lines.append(f"{name:<{left}} {drawn} {number}"[: None if color else width].rstrip())
    head = [f"{panel.title} — {panel.x_label}", panel.note]
    head += ["; ".join(f"{group}: {_marks(panel, place)}" for place, group in enumerate(panel.groups))]
    return "\n".join([*(textwrap.fill(printable(line), width) for line in head if line), *lines])


def _bar(value: float, low: float, high: float, room: int) -> str:
    """So many columns, in which 0 has its place: bars below 0 lie left of it."""
    unit = (high - low) / room or 1.0
    zero = round(-low / unit)
    if value < 0:
        full = min(max(round(-value / unit), 1), zero)
        return " " * (zero - full) + "█" * full + " " * (room - zero)
    eighths = min(round(8 * value / unit), 8 * (room - zero))
    drawn = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    return " " * zero + drawn.ljust(room - zero)


def _said(bar: Bar, panel: BarPanel) -> str:
    interval = "" if bar.low is None or bar.high is None else f" [{panel.said(bar.low)}, {panel.said(bar.high)}]"
    return f"{panel.said(bar.value)}{interval}{' ' if bar.note else ''}{printable(bar.note)}"


def _marks(panel: BarPanel, place: int) -> str:
    count = sum(bar.group == place for bar in panel.bars)
    return f"{count} bar{'' if count == 1 else 's'}"


def _short(name: str, longest: int) -> str:
    shown = printable(name).strip() or f"'{printable(name)}'"
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _draw(panel: BarPanel, axes: Axes) -> None:
    places = range(len(panel.bars))
    shades = [COLORS[bar.group % len(COLORS)] for bar in panel.bars]
    axes.barh(places, [bar.value for bar in panel.bars], color=shades, height=0.72, alpha=0.85)
    for place, bar in zip(places, panel.bars, strict=True):
        if bar.low is not None and bar.high is not None:
            axes.plot([bar.low, bar.high], [place, place], color="#333333", linewidth=1.1, solid_capstyle="butt")
        end = max(bar.value, bar.high or bar.value, 0)
        said = _said(bar, panel)
        axes.annotate(said, (end, place), (4, 0), textcoords="offset points", va="center", fontsize=7.5, color=QUIET)
    for place, group in enumerate(panel.groups):
        axes.barh([0], [0], color=COLORS[place % len(COLORS)], label=group)
    if panel.groups:
        axes.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.4, ncols=2)
    axes.set_yticks(places, [_short(bar.name, _LONGEST_DRAWN) for bar in panel.bars], fontsize=8.5)
    axes.set_ylim(len(panel.bars) - 0.4, -0.6)
    low, high = panel.reach()
    axes.set_xlim(low - 0.02 * (high - low), high + 0.24 * ((high - low) or 1))
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(panel.x_label)
    headed(axes, panel.title, panel.note)
