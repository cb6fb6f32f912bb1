"""Coloured text: each token by the difference at its own prediction, on one scale, safe in a terminal and on a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from engine.cd.decoding.numbers import MEASURES, TokenNumbers
from engine.cd.settings import Region
from engine.cd.texts.records import MeasuredText
from engine.cd.views.coloring import Look, colored, heading
from engine.plots.shaded import ColoredText, ColoredTexts, Piece, background, shade

STRINGS = {0: " the", 1: " a", 2: "<b>"}


def numbers(values: list[float], measure: str = "kl") -> TokenNumbers:
    tokens = len(values)
    columns = {name: np.zeros(tokens, np.float32) for name in MEASURES} | {measure: np.array(values, np.float32)}
    ranked = np.tile(np.array([0, 2], np.int32), (tokens, 1)), np.tile(np.array([0.75, 0.25], np.float32), (tokens, 1))
    return TokenNumbers(columns, ranked, ranked, ranked)


def text(values: list[float], tokens: list[str], measure: str = "kl", prompt: list[float] | None = None) -> MeasuredText:
    said = "".join(tokens)
    shown = [f" p{place}" for place in range(len(prompt or ()))]
    return MeasuredText(
        "i", "c", "p", "Ask.", 0, said, tokens, [0] * len(tokens), numbers(values, measure), shown,
        None if prompt is None else numbers(prompt, measure),
    )  # fmt: skip


def look(measure: str = "kl", region: Region = "generated") -> Look:
    return Look("title", measure, region, ("one", "other"), STRINGS)


@pytest.mark.parametrize("limits", [None, (1.0, 3.0)])
def test_reds_of_the_published_helper(limits):
    """§8.5: [1, 3, 2] → 0, 255, 127, also between limits that are given, where the original divided by the wrong number."""
    low, high = limits or (1.0, 3.0)
    assert [background(shade(value, low, high))[0] for value in (1, 3, 2)] == [0, 255, 127]


def test_each_token_has_the_number_of_its_own_prediction():
    """The original coloured a token by what came after it."""
    (one,) = colored([text([0.0, 1.0, 0.5], ["x", "y", "z"])], look()).texts
    assert [(piece.text, piece.value, piece.shade) for piece in one.pieces] == [("x", 0, 0), ("y", 1, 1), ("z", 0.5, 0.5)]


def test_all_texts_share_one_scale_of_what_is_shown():
    """§8.5's two texts, whose prompt column is not shown: from .3 to 1.2."""
    shown = colored([text([0.4, 1.2], ["a", "b"], prompt=[0.2]), text([0.6, 0.3], ["c", "d"], prompt=[0.0])], look())
    assert shown.limits == pytest.approx((0.3, 1.2))
    reds = [[background(piece.shade)[0] for piece in one.pieces] for one in shown.texts]
    assert reds == [[28, 255], [85, 0]]


def test_the_prompt_is_coloured_where_it_is_asked_for():
    one = text([0.5], ["x"], prompt=[1.0, 0.0])
    (both,) = colored([one], look(region="both")).texts
    assert [(piece.text, piece.value) for piece in both.pieces] == [(" p0", 1.0), (" p1", 0.0), (" ▸", None), ("x", 0.5)]
    assert both.lead == ""
    (only,) = colored([one], look(region="prompt")).texts
    assert [piece.value for piece in only.pieces] == [1.0, 0.0, None, None]


def test_measures_with_two_sides_are_shaded_from_nought():
    shown = colored([text([-2.0, 1.0, 0.0], ["x", "y", "z"], "log_ratio")], look("log_ratio"))
    assert [piece.shade for piece in shown.texts[0].pieces] == [-1.0, 0.5, 0.0]
    assert shown.limits == (0.0, 2.0)
    plain = shown.text(80, color=False)
    assert "«−x»‹y›z" in plain
    below, above = (shown.drawn()["html"].decode().split(f">{word}</span>")[0].rsplit("rgb(", 1)[1] for word in "xy")
    assert below.startswith("80,80,230")  # blue, and red for the other side
    assert above.startswith("242,168,168")


def test_without_colours_a_run_of_strong_tokens_has_one_pair_of_brackets():
    words = ["Buy", " Zor", "bo", " ", " today", "."]
    plain = colored([text([0.0, 2.0, 2.1, 0.0, 1.0, 0.0], words)], look()).text(80, color=False)
    assert plain.endswith("Ask. ▸Buy «Zorbo»  ‹today›.")
    lone = colored([text([0.0, 3.0, 0.0], ["a", " ", "b"])], look()).text(80, color=False)
    assert lone.endswith("▸a b")


def test_hovering_tells_numbers_and_what_both_models_would_have_said():
    (one,) = colored([text([0.5], ["x"])], look()).texts
    assert one.pieces[0].numbers["kl"] == 0.5
    assert one.pieces[0].alternatives["S one"] == ((" the", 0.75), ("<b>", 0.25))
    assert set(one.pieces[0].alternatives) == {"S one", "C other"}


def test_infinite_and_missing_numbers_do_not_stretch_the_scale():
    shown = colored([text([1.0, float("inf"), 3.0], ["x", "y", "z"])], look())
    assert shown.limits == (1.0, 3.0)
    assert [piece.shade for piece in shown.texts[0].pieces] == [0, 1, 1]
    assert colored([], look()).text(80, color=True)
    flat = colored([text([2.0, float("inf")], ["x", "y"])], look())
    assert [piece.shade for piece in flat.texts[0].pieces] == [0, 1]


def test_a_text_without_a_token_has_no_numbers_to_tell():
    assert heading(text([], []), "kl", "generated") == "no kl"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.titles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title" and value]


def test_text_of_models_is_harmless_on_the_page_and_in_the_terminal():
    nasty = ["<script>alert(1)</script>", "\x1b[31m", "\n", '" onmouseover="x', "\u202e"]
    shown = colored([text([0.1, 0.9, 0.2, 0.3, 0.4], nasty)], look())
    html = shown.drawn()["html"].decode()
    page = Page()
    page.feed(html)
    assert "script" not in page.tags
    assert "default-src 'none'" in html
    assert "onmouseover" not in {name for tag in re.findall(r"<[^>]*>", html) for name in re.findall(r"\s(\w+)=", tag)}
    assert any("25%" in title and "'<b>'" in title for title in page.titles)
    plain = shown.text(80, color=False)
    assert plain.isprintable() or set(plain) - set("\n") == {one for one in plain if one.isprintable()}
    assert "\\n" in plain


def test_lines_end_between_words_of_several_tokens():
    shown = colored([text([0.0] * 4, ["abcd", " ef", "gh", "ij"])], look()).text(16, color=False)
    assert [line.strip() for line in shown.splitlines()[-2:]] == ["Ask. ▸abcd", "efghij"]


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("width", [20, 80])
def test_lines_are_no_wider_than_the_terminal(width, color):
    from rich.cells import cell_len

    words = [" strange", "est", " of", " things", " 日本語の文", "x" * 50, " end", ""]
    lines = colored([text(list(range(8)), words)], look()).text(width, color).splitlines()
    body = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines[4:]]
    body = [line for line in body if line.startswith("  ")]
    assert max(map(cell_len, body)) <= width
    letters = "".join(body).translate(str.maketrans("", "", " ‹›«»▸·"))
    assert letters == "Ask.strangeestofthings日本語の文" + "x" * 50 + "end"


def test_colours_are_of_24_bits_only_where_the_terminal_has_them(monkeypatch):
    shown = ColoredTexts("t", "v", (0, 1), (ColoredText("i", "h", "", (Piece("x", 1.0, 1.0),)),))
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert "48;2;255;0;0mx" in shown.text(80, color=True)
    monkeypatch.delenv("COLORTERM")
    assert "48;5;196mx" in shown.text(80, color=True)
    assert "\x1b" not in shown.text(80, color=False)


def test_numbers_as_csv_have_a_row_for_every_piece():
    rows = colored([text([0.5, 0.25], ["x", "y,\n"])], look()).numbers().splitlines()
    assert rows[0].startswith("text,position,token,kl")
    assert "' the' 75%" in rows[1]
