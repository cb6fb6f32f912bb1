"""How every picture looks: one colour cycle, one typeface, panels in a grid; drawn as PNG and as SVG of the same figure.

Owns the style and the drawing into memory. matplotlib is imported when there is something to draw, without its global state.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#377eb8", "#ff7f00", "#4daf4a", "#984ea3", "#a65628", "#f781bf", "#e41a1c", "#777777", "#17a2a2")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">")
SIGNS = ("●", "▲", "■", "◆", "▼", "+", "×", "◀", "▶")
"""The terminal's counterparts of `MARKERS`."""
TERMINAL_COLORS = ("blue+", "orange", "green+", "magenta+", "red", "cyan+", "red+", "gray", "cyan")
DIVERGING, SEQUENTIAL = "RdBu_r", "YlGn"

QUIET = "#666666"
_STEPS = (0.2, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10000)
_FINE = (0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.5)
_WIDE = 4  # times, beyond which the fine steps crowd
_DOTS_PER_INCH = 160
_LETTERS_PER_INCH, _LINE = 14, 0.16  # of a line above everything, inches high
_LETTERS_OF_A_NOTE = 88  # that stand over the narrowest panel
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "text.parse_math": False,  # a dollar sign in data is a dollar sign
    "svg.hashsalt": "tiller",  # the same numbers give the same file
}


def grid(panels: int) -> tuple[int, int]:
    """Rows and columns for so many panels: as square as can be, never wider than three."""
    columns = min(3, math.ceil(math.sqrt(panels)))
    return math.ceil(panels / columns), columns


def draw(size: tuple[float, float], paint: Callable[[Figure], None], told: str = "") -> dict[str, bytes]:
    """The figure of `size` inches that `paint` fills, as {"png": …, "svg": …}. told: a line above everything."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    drawn: dict[str, bytes] = {}
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a script that the typeface lacks: boxes in the picture
        lines = textwrap.wrap(told, int(size[0] * _LETTERS_PER_INCH))
        figure = Figure(figsize=(size[0], size[1] + _LINE * len(lines)), layout="constrained")
        if lines:
            figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=8, color=QUIET)
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # pyright: ignore  inches; only this engine knows them
        paint(figure)
        for text in figure.findobj(Text):  # names come from data, and control characters break an SVG
            text.set_text("\n".join(map(printable, text.get_text().split("\n"))))  # pyright: ignore  only texts are found
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": "tiller"})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, dpi=_DOTS_PER_INCH, metadata=metadata, facecolor="white")
            drawn[suffix] = buffer.getvalue()
    return drawn


def headed(axes: Axes, title: str, note: str) -> None:
    """A panel's title over its note, which is wrapped: a line wider than the panel must not squeeze it."""
    lines = textwrap.wrap(note, _LETTERS_OF_A_NOTE, break_on_hyphens=False)
    axes.set_title(title, pad=8 + 10 * len(lines))
    told = axes.annotate(
        "\n".join(lines), (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=7.5, color=QUIET
    )
    told.set_in_layout(False)


def plain_steps(low: float, high: float) -> list[float]:
    """A few round numbers between `low` and `high` for a logarithmic axis, fine ones only where they have room."""
    steps = [step for step in _STEPS if low <= step <= high and (high / low <= _WIDE or step not in _FINE)]
    return steps or [low, high]


def axes_grid(figure: Figure, panels: int, **options: Any) -> list[Axes]:
    """One pair of axes for each panel; places of the grid that are left over stay empty."""
    rows, columns = grid(panels)
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for spare in axes[panels:]:
        spare.remove()
    return axes[:panels]
