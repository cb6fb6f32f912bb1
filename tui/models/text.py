"""Styled text of a fixed width: the unit in which models hand their rows to widgets.

A span is text with a tone (what it means) or with a task's own colours. Widths are terminal cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from tui import safe_text


class Tone(Enum):
    """What a text means. Five meanings have a colour; the rest is the terminal's own foreground."""

    PLAIN = "plain"
    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    ATTENTION = "attention"
    HEADING = "heading"
    SELECTED = "selected"


Span = tuple[str, Tone | safe_text.Style]


class Line(NamedTuple):
    """One line of a widget. selected: drawn in reverse video, whatever its tones."""

    spans: tuple[Span, ...] = ()
    selected: bool = False

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.spans)


def line(*parts: str | Span, selected: bool = False) -> Line:
    """A line of plain strings and spans."""
    return Line(tuple((part, Tone.PLAIN) if isinstance(part, str) else part for part in parts), selected)


def clip(text: str, width: int) -> str:
    """At most `width` cells; what is cut ends in an ellipsis."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells."""
    text = clip(text, width)
    gap = " " * (width - cell_len(text))
    return gap + text if right else text + gap


def clip_spans(spans: Iterable[Span], width: int) -> list[Span]:
    """At most `width` cells of spans; what is cut ends in an ellipsis."""
    kept: list[Span] = []
    left = width
    for text, style in spans:
        size = cell_len(text)
        if size > left:
            if left > 0:
                kept.append((clip(text, left), style))
            elif kept:
                last, its_style = kept[-1]
                kept[-1] = (clip(last + "…", cell_len(last)), its_style)
            return kept
        kept.append((text, style))
        left -= size
    return kept


def fit_spans(spans: Sequence[Span], width: int, *, right: bool = False) -> list[Span]:
    """Exactly `width` cells of spans."""
    kept = clip_spans(spans, width)
    gap = width - sum(cell_len(text) for text, _ in kept)
    if gap > 0:
        padding: Span = (" " * gap, Tone.PLAIN)
        kept = [padding, *kept] if right else [*kept, padding]
    return kept


def wrap(text: str, width: int, most: int) -> list[str]:
    """Text over at most `most` lines, broken between words; what is left over is cut with an ellipsis."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most:
        if len(lines) == most - 1:
            lines.append(clip(" ".join(words), width))
            break
        current = words.pop(0)
        while words and cell_len(current) + 1 + cell_len(words[0]) <= width:
            current += " " + words.pop(0)
        if cell_len(current) > width:  # one word longer than the line
            head = set_cell_size(current, width).rstrip()
            words.insert(0, current[len(head) :])
            current = head
        lines.append(current)
    return lines
