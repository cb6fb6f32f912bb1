"""The base of every widget here: lines that a model made, of which only the changed cells are sent to the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region
from textual.message import Message
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


class Painted(Widget):
    """Shows the lines of its last `paint`."""

    DEFAULT_CSS = "Painted { width: 1fr; height: 1fr; }"

    class Resized(Message):
        """Its size changed, so whoever paints it should do so again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._painted: Sequence[Line] = ()

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines from the top."""
        before, self._painted = self._painted, list(lines)
        width, height = self.size
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

    def on_resize(self, event: Resize) -> None:
        event.stop()
        self.post_message(self.Resized())

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        painted = self._painted[y] if y < len(self._painted) else _EMPTY
        segments: list[Segment] = []
        for text, style in fit_spans(painted.spans, width):
            segments.append(Segment(text, TONES[Tone.SELECTED] if painted.selected else rich_style(style)))
        return Strip(segments, width)


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
