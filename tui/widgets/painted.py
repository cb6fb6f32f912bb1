"""The base of every widget here: lines that a model made, of which only the changed cells are sent to the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from tui import safe_text
from tui.models.text import Line, Tone, fit_spans

TONES = {
    Tone.PLAIN: Style(),
    Tone.DONE: Style(dim=True),
    Tone.RUNNING: Style(color="bright_blue"),
    Tone.FAILED: Style(color="red"),
    Tone.ATTENTION: Style(color="yellow"),
    Tone.HEADING: Style(bold=True),
    Tone.SELECTED: Style(reverse=True),
}
_EMPTY = Line()


@runtime_checkable
class Painter(Protocol):
    """A screen that paints its widgets when asked."""

    def repaint(self) -> None: ...


class Painted(Widget):
    """Shows the lines of its last `paint`.

    A new size is painted for while the frame that shows it is being made, so that no blank frame is ever sent.
    """

    DEFAULT_CSS = "Painted { width: 1fr; height: 1fr; }"
    _making_frame: ClassVar[bool] = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._painted: Sequence[Line] = ()
        self._painted_for: Size | None = None

    @property
    def text(self) -> str:
        """What it shows, without its tones."""
        width, height = self.size
        return "\n".join("".join(text for text, _ in fit_spans(line.spans, width)) for line in self._painted[:height])

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines from the top."""
        before, self._painted = self._painted, list(lines)
        width, height = self.size
        if self._painted_for != self.size:
            self._painted_for = self.size
            if not Painted._making_frame:
                self.refresh()
            return
        regions: list[Region] = []
        for y in range(height):
            old = before[y] if y < len(before) else _EMPTY
            new = lines[y] if y < len(lines) else _EMPTY
            if old != new:
                left, right = _changed(old, new, width)
                if left < right:
                    regions.append(Region(left, y, right - left, 1))
        if regions:
            self.refresh(*regions)

    def render_lines(self, crop: Region) -> list[Strip]:
        screen = self.screen
        if self._painted_for != self.size and isinstance(screen, Painter) and not Painted._making_frame:
            Painted._making_frame = True
            try:
                screen.repaint()
            finally:
                Painted._making_frame = False
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        painted = self._painted[y] if y < len(self._painted) else _EMPTY
        segments: list[Segment] = []
        for text, style in fit_spans(painted.spans, width):
            segments.append(Segment(text, TONES[Tone.SELECTED] if painted.selected else rich_style(style)))
        return Strip(segments, width).simplify()


def rich_style(style: Tone | safe_text.Style) -> Style:
    if isinstance(style, Tone):
        return TONES[style]
    if isinstance(style.color, tuple):
        color = "rgb({},{},{})".format(*style.color)
    else:
        color = None if style.color is None else f"color({style.color})"
    return Style(
        color=color,
        bold=style.bold or None,
        dim=style.dim or None,
        italic=style.italic or None,
        underline=style.underline or None,
    )


def _changed(old: Line, new: Line, width: int) -> tuple[int, int]:
    """The span of cells in which two lines differ; the whole width when characters are not one cell each."""
    before, after = _cells(old, width), _cells(new, width)
    if before is None or after is None:
        return 0, width
    left = 0
    while left < width and before[left] == after[left]:
        left += 1
    right = width
    while right > left and before[right - 1] == after[right - 1]:
        right -= 1
    return left, right


def _cells(painted: Line, width: int) -> list[tuple[str, object]] | None:
    cells: list[tuple[str, object]] = []
    for text, style in fit_spans(painted.spans, width):
        if cell_len(text) != len(text):
            return None
        cells += [(character, painted.selected or style) for character in text]
    return cells
