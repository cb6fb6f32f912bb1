"""Running text whose pieces are coloured by a number: in a terminal, and as a page on which hovering tells the numbers.

Owns how such text looks; the data are plain values, which others may draw too. It reads on from piece to piece.
Without colours strong pieces stand in brackets. Everything is escaped; the page holds no script.
"""

from __future__ import annotations

import csv
import io
import math
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from engine.plots.page import escaped, page
from engine.printable import printable

Color = tuple[int, int, int]
Alternatives = Mapping[str, Sequence[tuple[str, float]]]
"""Who predicted → the likeliest pieces and their probabilities, best first."""

_INDENT = 2
_CUBE = 5  # steps of each colour in a terminal of 256
_BRACKETS = (("", ""), ("‹", "›"), ("«", "»"))
_SPLIT = "·"
"""Stands for a piece without letters of its own: a part of a letter that later pieces end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """value: what it is coloured by, None where there is no number. shade: 0 to 1 on the scale that all texts share, below 0
    on the other side of a scale with two. numbers, alternatives: told with it."""

    text: str
    value: float | None = None
    shade: float = 0.0
    numbers: Mapping[str, float] = field(default_factory=dict)
    alternatives: Alternatives = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColoredText:
    """id: stands for it in tables. lead: what stands before it (its prompt), not coloured. heading: its numbers in a line."""

    id: str
    heading: str
    lead: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class ColoredTexts:
    """A picture. limits: the values at shade 0 and 1; where the scale has two sides, at 0 and at either end."""

    title: str
    value_name: str
    limits: tuple[float, float]
    texts: tuple[ColoredText, ...]
    note: str = ""

    def text(self, width: int, color: bool) -> str:
        scale = self._scale(color)
        told = [printable(self.title), *([self.note] if self.note else []), *([] if color else [scale])]
        parts = [*(textwrap.fill(line, width) for line in told), *([scale] if color else [])]
        for one in self.texts:
            lead = [f"{printable(one.lead)} ▸"] if one.lead else []
            pieces = [*map(Piece, lead), *(one.pieces if color else _bracketed(one.pieces))]
            body = _wrapped(pieces, width - _INDENT, color)
            parts += ["", printable(one.heading), *(" " * _INDENT + line for line in body)]
        return "\n".join(parts)

    def numbers(self) -> str:
        """A row for each piece; alternatives as `piece probability` pairs."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = list(dict.fromkeys(name for one in self._pieces() for name in one.numbers))
        who = list(dict.fromkeys(name for one in self._pieces() for name in one.alternatives))
        writer.writerow(["text", "position", "token", *names, *(f"likeliest of {name}" for name in who)])
        for one in self.texts:
            for position, piece in enumerate(one.pieces):
                numbers = [f"{piece.numbers[name]:.6f}" if name in piece.numbers else "" for name in names]
                likely = [_told(piece.alternatives.get(name, ())) for name in who]
                writer.writerow([one.id, position, piece.text, *numbers, *likely])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        notes = "".join(f"<p class=note>{escaped(one)}</p>" for one in (told, self.note) if one)
        scale = "".join(_span(Piece(said, shade=shade)) for said, shade in self._steps())
        body = [f"<h1>{escaped(self.title)}</h1>{notes}<p>{escaped(self.value_name)}: {scale}</p>"]
        for one in self.texts:
            lead = f"<span class=lead>{escaped(one.lead)} ▸</span> " if one.lead else ""
            pieces = "".join(map(_span, one.pieces))
            body.append(f"<h3>{escaped(one.heading)}</h3><p class=colored>{lead}{pieces}</p>")
        return {"html": page(self.title, "".join(body)).encode()}

    def _pieces(self) -> Iterator[Piece]:
        return (piece for one in self.texts for piece in one.pieces)

    def _two_sided(self) -> bool:
        return any(piece.shade < 0 for piece in self._pieces())

    def _steps(self) -> list[tuple[str, float]]:
        low, high = self.limits
        sides = (-1.0, -0.5, 0.0, 0.5, 1.0) if self._two_sided() else (0.0, 0.25, 0.5, 0.75, 1.0)
        values = [math.copysign(low + (high - low) * abs(shade), shade or 1) for shade in sides]
        return [(f" {_rounded(value, high)} ", shade) for value, shade in zip(values, sides, strict=True)]

    def _scale(self, color: bool) -> str:
        if color:
            return f"{self.value_name}: " + "".join(_painted(said, shade) for said, shade in self._steps())
        low, high = self.limits
        third, two = (low + (high - low) * share for share in (1 / 3, 2 / 3))
        minus = ", with − below 0" if self._two_sided() else ""
        return f"{self.value_name}: ‹ › from {third:.3g} on, « » from {two:.3g}{minus}"


def shade(value: float, low: float, high: float) -> float:
    """Where a value lies between the ends of the scale, 0 to 1 (§7.10: over their distance). Where they are one, what lies
    above them is at 1, such as an infinite number."""
    if not high > low:
        return float(value > high)
    return min(max((value - low) / (high - low), 0.0), 1.0)


def background(place: float) -> Color:
    """A piece's colour, as published black to red over 0 to 1; black to blue on the other side."""
    strength = int(255 * abs(place))
    return (strength, 0, 0) if place >= 0 else (0, strength // 4, strength)


def _wrapped(pieces: Sequence[Piece], width: int, color: bool) -> list[str]:
    """Lines of at most `width` cells. Lines end between words, whose pieces stay together while they fit."""
    from rich.cells import cell_len, chop_cells

    lines, room = [""], width
    for word in _words(pieces):
        size = sum(cell_len(_shown(piece)) for piece in word)
        fresh = room < width
        if size > room and fresh:
            lines.append("")
            room, fresh = width, False
        for piece in word:
            shown = _shown(piece)
            if not fresh and room == width:
                shown = shown.lstrip(" ")  # the line's end stands for it
            for part in chop_cells(shown, width) if shown else []:
                if cell_len(part) > room:
                    lines.append("")
                    room = width
                lines[-1] += _painted(part, piece.shade) if color and piece.value is not None else part
                room -= cell_len(part)
    return [line for line in lines if line] or [""]


def _words(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    word: list[Piece] = []
    for piece in pieces:
        for part in _at_spaces(piece):
            if word and part.text[:1].isspace():
                yield word
                word = []
            word.append(part)
    if word:
        yield word


def _at_spaces(piece: Piece) -> list[Piece]:
    """A plain run of words as one piece for each; a coloured piece is whole."""
    if piece.value is not None:
        return [piece]
    words = piece.text.split(" ")
    return [Piece(word if number == 0 else " " + word) for number, word in enumerate(words)]


def _shown(piece: Piece) -> str:
    return printable(piece.text) or ("" if piece.value is None else _SPLIT)


def _bracketed(pieces: Sequence[Piece]) -> list[Piece]:
    """Without colours: one pair of brackets around all neighbours of like strength, behind the space before them."""
    shown: list[Piece] = []
    for (level, minus), run in groupby(pieces, key=_level):
        said = [_shown(piece) for piece in run]
        opening, closing = _BRACKETS[level if "".join(said).strip(" ") else 0]
        word = said[0].lstrip(" ")
        said[0] = said[0][: len(said[0]) - len(word)] + opening + ("−" if minus and opening else "") + word
        said[-1] += closing
        shown += map(Piece, said)
    return shown


def _level(piece: Piece) -> tuple[int, bool]:
    level = 0 if piece.value is None else min(int(abs(piece.shade) * 3), 2)
    return level, level > 0 and piece.shade < 0


def _painted(text: str, place: float) -> str:
    """White on the colour, of 24 bits where the terminal says that it has them, else of the 256 that nearly all have."""
    red, green, blue = background(place)
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return f"\x1b[38;2;255;255;255;48;2;{red};{green};{blue}m{text}\x1b[0m"
    cube = [round(part / 255 * _CUBE) for part in (red, green, blue)]
    return f"\x1b[38;5;231;48;5;{16 + 36 * cube[0] + 6 * cube[1] + cube[2]}m{text}\x1b[0m"


def _span(piece: Piece) -> str:
    """On paper-white: from white to red or blue, with black letters."""
    strength = abs(piece.shade)
    faded, kept = round(255 - 175 * strength), round(255 - 25 * strength)
    red, green, blue = (kept, faded, faded) if piece.shade >= 0 else (faded, faded, kept)
    hint = [f"{name} {value:.4g}" for name, value in piece.numbers.items()]
    hint += [f"{name}: {_told(likely)}" for name, likely in piece.alternatives.items()]
    title = f' title="{"&#10;".join(map(escaped, hint))}"' if hint else ""
    end = "<br>" if piece.text.endswith("\n") else ""
    shown = escaped(piece.text) or _SPLIT
    return f'<span style="background:rgb({red},{green},{blue})"{title}>{shown}</span>{end}'


def _rounded(value: float, reach: float) -> str:
    """To three digits; what is a thousandth of the scale or less is nought on it."""
    return f"{value:.3g}" if abs(value) > reach / 1000 else "0"


def _told(likely: Sequence[tuple[str, float]]) -> str:
    return "  ".join(f"{text!r} {100 * probability:.3g}%" for text, probability in likely)
