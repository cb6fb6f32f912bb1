"""Estimates with their intervals, one a line: what was found, how sure it is, and on which side of 0 it lies.

Owns how they look. The colour and mark of an estimate say which group it is in; groups are told in words too.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.plots.style import COLORS, MARKERS, SIGNS, TERMINAL_COLORS, draw, headed
from engine.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST_DRAWN = 60
_NARROWEST = 20  # columns of a terminal's lines


@dataclass(frozen=True, slots=True)
class Estimate:
    """[`low`, `high`] is the interval, `told` what else is to be said, in a few words."""

    name: str
    value: float
    low: float
    high: float
    group: str
    told: str = ""


@dataclass(frozen=True, slots=True)
class EstimatePicture:
    """`groups` in the order of their colours. `marks`: values that a line is drawn at, 0 always."""

    title: str
    x_label: str
    note: str
    estimates: tuple[Estimate, ...]
    groups: tuple[str, ...]
    marks: tuple[float, ...] = ()

    def limits(self) -> tuple[float, float]:
        low = min(0.0, *(one.low for one in self.estimates), *self.marks)
        high = max(0.0, *(one.high for one in self.estimates), *self.marks)
        return (low, high) if high > low else (low, low + 1)

    def text(self, width: int, color: bool) -> str:
        """A line of the interval under each name: `├──●──┤`, with `│` where 0 is."""
        low, high = self.limits()
        room = max(width - 2, _NARROWEST)

        def place(value: float) -> int:
            return round((value - low) / (high - low) * (room - 1))

        lines = [textwrap.fill(printable(one), width) for one in (f"{self.title} — {self.x_label}", self.note) if one]
        for one in self.estimates:
            cells = [" "] * room
            cells[place(0.0)] = "│"
            start, end = place(one.low), place(one.high)
            cells[start : end + 1] = "─" * (end - start + 1)
            cells[start], cells[end] = "├", "┤"
            cells[place(one.value)] = self._sign(one)
            drawn = "".join(cells).rstrip()
            numbers = f"{one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"
            lines += ["", textwrap.fill(printable(one.name), width), f"  {drawn}", f"  {numbers}  {self._group(one, color)}"]
            if one.told:
                lines[-1] += f"  {printable(one.told)}"
        return "\n".join(lines)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["picture", "name", "value", "low", "high", "group", "told"])
        for one in self.estimates:
            numbers = [f"{number:.6f}" for number in (one.value, one.low, one.high)]
            writer.writerow([self.title, one.name, *numbers, one.group, one.told])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        lines = sum(len(self._name(one).split("\n")) for one in self.estimates)

        def paint(figure: Figure) -> None:
            _draw(self, figure.subplots())
            if len({one.group for one in self.estimates}) > 1:
                figure.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=4)

        return draw((9.6, max(2.8, 0.2 * lines + 0.22 * len(self.estimates) + 1.6)), paint, told)

    def _group(self, one: Estimate, color: bool) -> str:
        import plotext as plt

        shown = f"{self._sign(one)} {printable(one.group)}"
        shade = TERMINAL_COLORS[self.groups.index(one.group) % len(TERMINAL_COLORS)]
        return str(plt.colorize(shown, shade)) if color else shown

    def _sign(self, one: Estimate) -> str:
        return SIGNS[self.groups.index(one.group) % len(SIGNS)]

    @staticmethod
    def _name(one: Estimate) -> str:
        return "\n".join(textwrap.wrap(printable(one.name), _LONGEST_DRAWN)) or " "


def _draw(picture: EstimatePicture, axes: Axes) -> None:
    for mark in picture.marks:
        axes.axvline(mark, color="#bbbbbb", linewidth=0.9, linestyle="--", zorder=0)
    axes.axvline(0, color="#888888", linewidth=0.9, zorder=0)
    for number, group in enumerate(picture.groups):
        known = [(place, one) for place, one in enumerate(picture.estimates) if one.group == group]
        if not known:
            continue
        places, values = [place for place, _ in known], [one.value for _, one in known]
        sides = [[max(0.0, one.value - one.low) for _, one in known], [max(0.0, one.high - one.value) for _, one in known]]
        axes.errorbar(
            values, places, xerr=sides, fmt=MARKERS[number % len(MARKERS)], color=COLORS[number % len(COLORS)],
            markersize=6, capsize=3, linewidth=1.4, label=f"{group} ({len(known)})",
        )  # fmt: skip
    axes.set_yticks(range(len(picture.estimates)), [picture._name(one) for one in picture.estimates], fontsize=8.5)
    axes.set_ylim(len(picture.estimates) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(picture.x_label)
    headed(axes, picture.title, picture.note)
