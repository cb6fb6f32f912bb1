"""What task output may do to a terminal: colours, and nothing else. Hostile bytes are judged by a terminal emulator."""

import unicodedata

import pyte
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui.safe_text import PLAIN, Style, clean_for_terminal, clean_line, clean_name, clean_text

RED, BOLD_GREEN = Style(color=1), Style(color=2, bold=True)

SEQUENCES = [
    b"\x1b]0;title\x07",
    b"\x1b]52;c;cGF5bG9hZA==\x1b\\",
    b"\x1b]8;;http://x\x1b\\",
    b"\x1b[2J",
    b"\x1b[10;10H",
    b"\x1b[?1049h",
    b"\x1b[?25l",
    b"\x1b[6n",
    b"\x1b[>4;2m",
    b"\x1b[31m",
    b"\x1b[1;38;5;200m",
    b"\x1b[38;2;1;2;3m",
    b"\x1b[7;8;5m",
    b"\x1bP+q544e\x1b\\",
    b"\x1b_apc\x1b\\",
    b"\x1bc",
    b"\x1b(0",
    b"\x1b#8",
    b"\x1b[",
    b"\x1b",
    b"\x1b]",
    b"\x1bP",
    b"\xc2\x9b2J",
    b"\xc2\x9d0;t\x07",
    b"\xc2\x85",
    b"\x9b2J",
    b"\x0e",
    b"\x0f",
    b"\x05",
    b"\x08",
    b"\x0b",
    b"\x0c",
    b"\r",
    b"\n",
    b"\t",
    b"\x00",
    b"\x7f",
    "\u202eevil\u202c\u2066\u2069\u200e\u2028\ufeff".encode(),
    "é 漢字 👩‍🔬 e\u0301".encode(),
    b"plain",
    b" ",
]
hostile = st.lists(st.one_of(st.sampled_from(SEQUENCES), st.binary(max_size=12)), max_size=30).map(b"".join)

ALLOWED = {"draw", "linefeed", "tab", "select_graphic_rendition"}


def events_of(text: str) -> tuple[list[tuple[str, tuple[object, ...]]], pyte.Screen]:
    """What a terminal understands of a text."""
    screen = pyte.Screen(300, 100)
    seen: list[tuple[str, tuple[object, ...]]] = []

    class Listener:
        def __getattr__(self, name: str) -> object:
            target = getattr(screen, name)
            if name not in pyte.Stream.events:
                return target

            def call(*arguments: object, **options: object) -> object:
                seen.append((name, arguments))
                assert not options, f"{name} with {options}"
                return target(*arguments)

            return call

    stream = pyte.Stream(Listener())  # type: ignore[arg-type]
    stream.feed(text)
    return seen, screen


@given(hostile)
@example(b"\x1b]0;\x1b]52;c;x\x07")
@example(b"\x1b\x1b[2J")
@example(b"\x1b[3\r1m\x1b[?1m")
@example(b"\x1b[\x1b]0;x\x07m")
def test_a_terminal_is_asked_for_nothing_but_text_and_colours(raw: bytes) -> None:
    seen, screen = events_of(clean_for_terminal(raw))
    assert {name for name, _ in seen} <= ALLOWED
    for name, arguments in seen:
        if name == "select_graphic_rendition":
            assert not {5, 7, 8, 48} & {value for value in arguments if isinstance(value, int)} or 38 in arguments
    assert screen.cursor.attrs == screen.default_char, "a colour is left open"
    assert not screen.title


@given(hostile)
def test_spans_hold_only_printable_text(raw: bytes) -> None:
    for text, style in clean_line(raw.replace(b"\n", b"")):
        assert text
        assert isinstance(style, Style)
        refused = [c for c in text if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or "\u202a" <= c <= "\u202e"]
        assert not refused


@given(hostile)
def test_cleaning_is_idempotent(raw: bytes) -> None:
    once = clean_for_terminal(raw)
    assert clean_for_terminal(once.encode()) == once


@given(hostile)
def test_lines_stay_lines(raw: bytes) -> None:
    assert clean_for_terminal(raw).count("\n") == raw.count(b"\n")


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_passes_unchanged(text: str) -> None:
    assert clean_text(text.encode()) == clean_for_terminal(text.encode()) == text


@pytest.mark.parametrize(
    ("raw", "spans"),
    [
        (b"", []),
        (b"a\x1b[31mb\x1b[0mc", [("a", PLAIN), ("b", RED), ("c", PLAIN)]),
        (b"\x1b[1;32mok\x1b[m", [("ok", BOLD_GREEN)]),
        (b"\x1b[91mbright", [("bright", Style(color=9))]),
        (b"\x1b[38;5;208mx", [("x", Style(color=208))]),
        (b"\x1b[38;2;1;2;3mx", [("x", Style(color=(1, 2, 3)))]),
        (b"\x1b[48;5;1mx\x1b[7;8my", [("xy", PLAIN)]),
        (b"\x1b[31mr\x1b[31me", [("re", RED)]),
        (b"a\tb", [("a       b", PLAIN)]),
    ],
)
def test_colours_and_tabs(raw: bytes, spans: list[tuple[str, Style]]) -> None:
    assert clean_line(raw) == spans


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"  0%\r 50%\r100%", "100%"),
        (b"dos line\r", "dos line"),
        (b" 50% of it\r\x1b[K", " 50% of it"),
        (b"|\b/\b-\b\\", "\\"),
        (b"\x1b[2K\rdone", "done"),
    ],
)
def test_progress_is_folded_to_its_last_state(raw: bytes, text: str) -> None:
    assert clean_text(raw) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\x00b", "a\\x00b"),
        (b"bell\x07", "bell"),
        ("\u202egnp.exe".encode(), "\\u202egnp.exe"),
        ("tag\U000e0041".encode(), "tag\\U000e0041"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\x1b]0;never ended", "0;never ended"),
        (b"cut \x1b[3", "cut "),
        ("naïve 漢字".encode(), "naïve 漢字"),
    ],
)
def test_what_is_unsafe_is_removed_or_shown_escaped(raw: bytes, text: str) -> None:
    assert clean_text(raw) == text


def test_without_colour_no_escape_is_left() -> None:
    assert clean_for_terminal(b"a\x1b[31mb\nc", color=False) == "ab\nc"


def test_a_name_stays_on_one_line() -> None:
    assert clean_name("two\nlines\x1b[2J and\ta tab") == "two lines\\x1b[2J and a tab"
