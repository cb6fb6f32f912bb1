"""Bytes that a task wrote, made safe to show on a terminal.

Task output and model text are untrusted: an escape sequence in them could rename the window, move the cursor, answer a
query or reverse the reading order. Of all control sequences only colours and weights survive; the rest is removed, and
control characters without a sequence, invisible format characters and bidirectional overrides are shown escaped. A
carriage return is progress, not a line: the last state of a line counts.

Owns that one decision. It knows no widget and no file, and imports neither textual nor rich, because `tiller logs` uses it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

Color = int | tuple[int, int, int]
"""0–15: the terminal's own sixteen; 16–255: the fixed palette; a triple: red, green, blue of 0–255."""

TAB = 8


class Style(NamedTuple):
    """All that output may ask for. Backgrounds, reverse, blink and concealment are dropped: they hide or imitate."""

    color: Color | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False


PLAIN = Style()
Span = tuple[str, Style]

_SEQUENCE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)"  # CSI, also one that the line's end cuts off
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC with their text
    r"|\x1b[ -/]*[0-~]?"  # any other escape; of an unfinished string only the introducer goes, its text is shown
    r"|\x07"
)
_ODD = re.compile(r"[^\x20-\x7e]")
_JOINERS = "\u200c\u200d"  # letters of Persian and of emoji need them; they cannot reorder or hide
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def clean_line(raw: bytes) -> list[Span]:
    """One line, without its newline, as spans of safe text. Tabs become spaces; only the state after the last `\\r` is left."""
    if raw.isascii() and raw.decode("ascii").isprintable():
        return [(raw.decode("ascii"), PLAIN)] if raw else []
    return list(_merge(_expand_tabs(_last_state(raw))))


def clean_text(raw: bytes) -> str:
    """One line as safe text without its colours."""
    return "".join(text for text, _ in clean_line(raw))


def clean_for_terminal(raw: bytes, *, color: bool = True) -> str:
    """Whole lines, ready to print: safe text, tabs, newlines, and colour codes that are closed where their line ends."""
    return "\n".join(_printed(line, color) for line in raw.split(b"\n"))


def clean_name(text: str) -> str:
    """A name or a sentence from elsewhere on one line: everything unsafe escaped, line breaks and tabs as spaces."""
    return _ODD.sub(_shown, " ".join(text.split()))


# --- from bytes to spans ---------------------------------------------------------------------------------------------


def _last_state(raw: bytes) -> list[Span]:
    """The spans after the last carriage return that leaves anything to see."""
    states = raw.decode("utf-8", "replace").split("\r")
    for state in reversed(states):
        if spans := [span for span in _spans(state) if span[0]]:
            return spans
    return []


def _spans(text: str) -> Iterator[Span]:
    style, position = PLAIN, 0
    for match in _SEQUENCE.finditer(text):
        yield _plain(text[position : match.start()]), style
        if match["sgr"] is not None:
            style = _restyled(style, match["sgr"])
        position = match.end()
    yield _plain(text[position:]), style


def _plain(text: str) -> str:
    """Text between sequences: backspaces rub out, what could do harm is escaped."""
    if "\b" in text:
        kept: list[str] = []
        for character in text:
            if character != "\b":
                kept.append(character)
            elif kept:
                kept.pop()
        text = "".join(kept)
    return _ODD.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    return _shown_character(match[0])


@lru_cache(maxsize=4096)
def _shown_character(character: str) -> str:
    if character == "\t" or character in _JOINERS or unicodedata.category(character) not in _REFUSED:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _expand_tabs(spans: Iterable[Span]) -> Iterator[Span]:
    column = 0
    for text, style in spans:
        pieces: list[str] = []
        for index, piece in enumerate(text.split("\t")):
            if index:
                gap = TAB - column % TAB
                pieces.append(" " * gap)
                column += gap
            pieces.append(piece)
            column += len(piece)
        yield "".join(pieces), style


def _merge(spans: Iterable[Span]) -> Iterator[Span]:
    """Join neighbours of one style."""
    text, style = "", PLAIN
    for following, its_style in spans:
        if its_style == style:
            text += following
        elif following:
            if text:
                yield text, style
            text, style = following, its_style
    if text:
        yield text, style


# --- colours ---------------------------------------------------------------------------------------------------------


def _restyled(style: Style, parameters: str) -> Style:
    """A style after `ESC [ parameters m`. Unknown and refused parameters change nothing."""
    codes = _codes(parameters)
    for code in codes:
        if code == 0:
            style = PLAIN
        elif code == 1:
            style = style._replace(bold=True)
        elif code == 2:
            style = style._replace(dim=True)
        elif code == 3:
            style = style._replace(italic=True)
        elif code == 4:
            style = style._replace(underline=True)
        elif code == 22:
            style = style._replace(bold=False, dim=False)
        elif code == 23:
            style = style._replace(italic=False)
        elif code == 24:
            style = style._replace(underline=False)
        elif 30 <= code <= 37:
            style = style._replace(color=code - 30)
        elif 90 <= code <= 97:
            style = style._replace(color=code - 82)
        elif code == 39:
            style = style._replace(color=None)
        elif code in (38, 48, 58):  # 48, 58: taken apart so that their numbers are not read as codes
            chosen = _extended(codes)
            if code == 38 and chosen is not None:
                style = style._replace(color=chosen)
    return style


def _codes(parameters: str) -> Iterator[int]:
    for part in parameters.replace(":", ";").split(";"):
        yield 0 if not part else int(part) if len(part) <= 3 else -1


def _extended(codes: Iterator[int]) -> Color | None:
    """The colour of `38;5;n` or `38;2;r;g;b`, after its 38. None for one that is not whole."""
    kind = next(codes, -1)
    numbers = [next(codes, -1) for _ in range({5: 1, 2: 3}.get(kind, 0))]
    if not numbers or not all(0 <= number <= 255 for number in numbers):
        return None
    return numbers[0] if kind == 5 else (numbers[0], numbers[1], numbers[2])


# --- from spans to a terminal ----------------------------------------------------------------------------------------


def _printed(raw: bytes, color: bool) -> str:
    if raw.isascii() and raw.decode("ascii").isprintable():
        return raw.decode("ascii")
    parts: list[str] = []
    style = PLAIN
    for text, wanted in _merge(_last_state(raw)):
        if color and wanted != style:
            parts.append(_sgr(wanted))
            style = wanted
        parts.append(text)
    if style != PLAIN:
        parts.append(_sgr(PLAIN))
    return "".join(parts)


def _sgr(style: Style) -> str:
    codes = ["0"]
    codes += [code for code, wanted in zip("1234", style[1:], strict=True) if wanted]
    if isinstance(style.color, tuple):
        codes.append("38;2;" + ";".join(map(str, style.color)))
    elif style.color is not None:
        codes.append(str(30 + style.color) if style.color < 8 else f"38;5;{style.color}")
    return f"\x1b[{';'.join(codes)}m"
