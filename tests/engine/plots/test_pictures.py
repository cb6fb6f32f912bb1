"""Every kind of picture: its CSV is its numbers, PNG and SVG parse, a terminal of 80 columns holds it, and texts do nothing."""

from __future__ import annotations

import csv
import io
import struct
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plots import (
    Bar,
    BarPanel,
    BarPicture,
    Chips,
    Curve,
    CurvePicture,
    DotPanel,
    DotPicture,
    FitLine,
    Heatmap,
    HeatmapPicture,
    Histogram,
    HistogramPicture,
    Panel,
    Point,
    ScatterGroup,
    ScatterPanel,
    ScatterPicture,
    Token,
    Word,
    WordCloudPicture,
    save_picture,
)
from engine.plots.style import grid
from engine.printable import printable
from engine.workspace import Workspace

HOSTILE = "\x1b]0;x\x07<script>alert(1)</script>$\\frac{\u202e\x9b2J\n&\"'"
XS = (-1.0, 0.0, 1.0)


def panel(name: str = "agree", curves: int = 2, **changes) -> Panel:
    drawn = tuple(
        Curve(f"{name} {n}", tuple(Point(x, 0.5 + x / 3, 0.4 + x / 3, 0.6 + x / 3, 40, 80) for x in XS)) for n in range(curves)
    )
    counts = {one.name: "n = 40 prompts × 2" for one in drawn}
    return Panel(f"{name}: letters", "multiplier", "share", drawn, counts, "bands: 95 %", **changes)


SPREAD = tuple((n * 37 % 100) / 50 for n in range(80))


def fitted(text: str) -> ScatterGroup:
    points = tuple((float(n), 2.0 * n) for n in range(400))
    return ScatterGroup(text, points, 0, 0, (), fit=FitLine(2.0, 0.0, (0.0, 399.0), "R² 1.00"))


def pictures(text: str = "agree"):
    values = tuple(tuple((row - column) / 15 for column in range(16)) for row in range(16))
    names = tuple(f"{text} {n}" for n in range(16))
    token = Token(text, "prompt", -0.5, {"dot": -2.0, "cosine": -0.5}, {"lens": text})
    return {
        "curves": CurvePicture((panel(text, 7), panel(text, 3, logarithmic=True, y_range=None))),
        "heatmap": HeatmapPicture((Heatmap(text, "layer", "layer", "cosine", names, names, values, (-1, 1)),)),
        "scatter": ScatterPicture(
            (ScatterPanel(text, "x", "y", (ScatterGroup(text, ((0, 1), (2, 3)), 0, 0, (text, "b"), written=True),)),)
        ),
        "fit": ScatterPicture((ScatterPanel(text, "x", "y", (fitted(text),), origin=False, note=f"{text} {'n' * 90}"),)),
        "histogram": HistogramPicture(
            (
                Histogram(text, "nats", {text: SPREAD, f"{text} 2": SPREAD[:7], "none": ()}, note="n" * 70),
                Histogram("b", "nats", {text: (0.5, 0.5)}, logarithmic=True),
            )
        ),
        "bars": BarPicture(
            (
                BarPanel(text, "nats", (Bar(text, 0.5, 0.2, 0.9, note=text), Bar("b", -0.25, group=1)), ("of S", "of C")),
                BarPanel("zero", "nats", (Bar("", 0.0),)),
            )
        ),
        "words": WordCloudPicture(text, "nats", (Word(text, 3.0, 2), Word("tea", 2.5, 1), Word("none", 0.0, 1))),
        "dots": DotPicture(
            (DotPanel(text, "p", (text, "b"), (3, 4), {"-1": (0.2, None), "0": (0.3, 0.4)}, {"-1": ("-", ""), "0": ("", "")}),)
        ),
        "chips": Chips(text, "cosine", {text: (token, token) * 30}, "note"),
    }


KINDS = tuple(pictures())


def rows(picture) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(picture.numbers())))


@pytest.mark.parametrize("text", ["agree", HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_gets_eighty_plain_columns(kind, text):
    shown = pictures(text)[kind].text(80, color=False)
    assert max(map(len, shown.splitlines())) <= 80
    assert all(unicodedata.category(c) not in ("Cc", "Cf") or c == "\n" for c in shown)


@pytest.mark.parametrize("kind", KINDS)
def test_colour_is_closed_on_every_line_and_adds_no_width(kind):
    plain, colored = (pictures()[kind].text(80, color=color) for color in (False, True))
    assert "\x1b" in colored
    assert "\x1b" not in plain
    for line in colored.splitlines():
        assert "\x1b" not in line or line.rindex("\x1b[0m") == line.rindex("\x1b")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "chips"])
def test_png_and_svg_are_whole_whatever_names_say(kind):
    drawn = pictures(HOSTILE)[kind].drawn()
    assert set(drawn) == {"png", "svg"}
    assert drawn["png"][:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", drawn["png"][16:24])
    assert 300 < width < 6000
    assert 200 < height < 6000
    root = ElementTree.fromstring(drawn["svg"])
    assert root.tag.endswith("svg")
    assert not [element for element in root.iter() if element.tag.endswith("script")]


def test_the_same_numbers_are_the_same_files():
    scatter = pictures()["scatter"]
    assert scatter.drawn() == scatter.drawn()


def test_curves_csv_holds_every_number():
    found = rows(CurvePicture((panel(curves=2),)))
    assert len(found) == 2 * 3
    first = {"panel": "agree: letters", "measure": "share", "curve": "agree 0", "multiplier": "-1.0", "units": "40"}
    assert found[0].items() >= first.items()
    assert [float(found[0][name]) for name in ("mean", "low", "high")] == pytest.approx(
        [1 / 6, 0.4 - 1 / 3, 0.6 - 1 / 3], abs=1e-6
    )


def test_layers_are_whole_numbers_under_their_own_name():
    found = rows(CurvePicture((panel(x_name="layer"),)))
    assert [row["layer"] for row in found[:3]] == ["-1", "0", "1"]


def test_heatmap_scatter_and_dots_csv_hold_every_number():
    made = pictures()
    cells = rows(made["heatmap"])
    assert len(cells) == 16 * 16
    assert float(next(cell for cell in cells if cell["row"] == "agree 3" and cell["column"] == "agree 1")["value"]) == (
        pytest.approx(2 / 15, abs=1e-6)
    )
    assert [(row["label"], float(row["x"]), float(row["y"])) for row in rows(made["scatter"])] == [("agree", 0, 1), ("b", 2, 3)]
    assert [(row["category"], row["series"], row["value"], row["mark"]) for row in rows(made["dots"])] == [
        ("agree", "-1", "0.200000", "-"),
        ("b", "-1", "", ""),
        ("agree", "0", "0.300000", ""),
        ("b", "0", "0.400000", ""),
    ]


def test_a_terminal_map_shows_every_cell_in_parts():
    shown = pictures()["heatmap"].text(80, color=False)
    assert shown.count("agree 15") >= 3  # as a row of every part, and as a column
    assert shown.count("-0.40") == 10


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def test_hostile_tokens_are_text_on_the_page():
    content = pictures(HOSTILE)["chips"].drawn()["html"].decode()
    tags = Tags()
    tags.feed(content)
    assert {tag for tag, _ in tags.found} <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "span",
        "sup",
        "wbr",
        "br",
    }
    assert "<script>alert(1)</script>" in tags.words
    assert "\x1b" not in content
    assert "\u202e" not in content
    assert any("default-src 'none'" in (attributes.get("content") or "") for tag, attributes in tags.found if tag == "meta")
    hints = [attributes["title"] for tag, attributes in tags.found if tag == "span"]
    assert all("dot -2" in hint and "cosine -0.5" in hint for hint in hints)


def test_signs_tell_what_colours_do():
    tokens = tuple(Token(f"t{n}", "prompt", value, {"dot": value}, {}) for n, value in enumerate((-1, -0.5, 0.1, 0.5, 1)))
    shown = Chips("t", "dot product", {"row": tokens}, "").text(80, color=False)
    assert shown.splitlines()[-1].split() == ["t0−−", "t1−", "t2", "t3+", "t4++"]


@pytest.mark.parametrize(("panels", "shape"), [(1, (1, 1)), (2, (1, 2)), (4, (2, 2)), (5, (2, 3)), (32, (11, 3))])
def test_many_panels_form_a_grid(panels, shape):
    assert grid(panels) == shape


@given(st.text())
def test_printable_text_is_one_line_that_cannot_act(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    allowed = {"\u200c", "\u200d"}
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in allowed]
    assert printable(shown) == shown  # nothing is escaped twice


def test_a_picture_s_files_are_noted_together(tmp_path, monkeypatch):
    monkeypatch.setenv("TILLER_ARTIFACTS", str(tmp_path / "made"))
    monkeypatch.delenv("TILLER_RUN", raising=False)
    path = save_picture(Workspace(tmp_path), "steer-x", "k", pictures()["curves"])
    assert {one.name for one in path.parent.iterdir()} == {"steer-x-k.png", "steer-x-k.svg", "steer-x-k.csv"}
    assert len((tmp_path / "made").read_text().splitlines()) == 3


def test_a_histograms_csv_holds_its_bins_and_its_curve():
    picture = HistogramPicture((Histogram("a", "nats", {"one": (0.0, 1.0, 1.0, 4.0), "two": (2.0,)}, bins=4),))
    found = rows(picture)
    bins = [row for row in found if row["drawn"] == "bin"]
    assert [(row["series"], float(row["low"]), int(row["count"])) for row in bins] == [
        ("one", 0, 1), ("one", 1, 2), ("one", 2, 0), ("one", 3, 1), ("two", 0, 0), ("two", 1, 0), ("two", 2, 1), ("two", 3, 0),
    ]  # fmt: skip
    assert sum(float(row["density"]) for row in bins[:4]) == pytest.approx(1.0)
    curve = [row for row in found if row["drawn"] == "curve"]
    assert {row["series"] for row in curve} == {"one"}  # of one number there is no density
    assert float(curve[0]["low"]) == 0.0
    assert float(curve[-1]["high"]) == 4.0


@given(st.lists(st.floats(-1e5, 1e5, allow_subnormal=False).map(lambda x: round(x, 3)), min_size=1, max_size=30))
def test_every_number_lies_in_a_bin(values):
    panel = Histogram("a", "nats", {"one": values}, smooth=False)
    assert panel.counts(values).sum() == len(values)


def test_bars_below_zero_lie_left_of_those_above():
    panel = BarPanel("a", "nats", (Bar("up", 1.0), Bar("down", -1.0)))
    up, down = BarPicture((panel,)).text(60, color=False).splitlines()[1:]
    assert up.index("█") == down.rindex("█") + 1


def test_a_fit_is_drawn_told_and_among_the_numbers():
    picture = pictures()["fit"]
    assert "agree (400, R² 1.00)" in picture.text(80, color=False)
    assert rows(picture)[0].items() >= {"slope": "2", "intercept": "0", "label": ""}.items()


def test_what_a_scatter_leaves_out_is_said_under_its_title():
    picture = ScatterPicture((ScatterPanel("a", "x", "y", (fitted("agree"),), note="7 of 407 are left out"),))
    assert picture.text(80, color=False).splitlines()[1] == "7 of 407 are left out"
    assert b"7 of 407 are left out" in picture.drawn()["svg"]


def test_marks_of_one_panel_are_equally_large():
    few = ScatterGroup("few", ((0.0, 0.0), (9.0, 9.0)), 1, 0, ())
    vectors = []
    for groups in ((fitted("many"), few), (few, few)):
        svg = ScatterPicture((ScatterPanel("a", "x", "y", groups),)).drawn()["svg"].decode()
        vectors.append(svg.count('id="PathCollection'))
    assert vectors == [2, 4], "a small group beside a large one is drawn as that is, as a raster; legends show two marks"


def test_a_cloud_draws_what_is_above_zero_and_the_terminal_its_largest_words():
    picture = WordCloudPicture("a", "nats", tuple(Word(f"w{n}", 40.0 - n, n) for n in range(40)))
    shown = picture.text(80, color=False)
    assert "w0 " in shown
    assert "w39" not in shown
    assert "16 more" in shown
    assert len(rows(picture)) == 40
    svg = ElementTree.fromstring(picture.drawn()["svg"])
    some = WordCloudPicture("a", "nats", (Word("tea", 2.0, 1), Word("none", 0.0, 1)))
    assert patches(svg) - patches(ElementTree.fromstring(some.drawn()["svg"])) == 39
    assert picture.drawn() == picture.drawn()


def patches(svg: ElementTree.Element) -> int:
    return sum(element.get("id", "").startswith("patch_") for element in svg.iter())


def test_an_empty_cloud_says_so():
    assert "nothing to draw" in WordCloudPicture("a", "nats", ()).text(80, color=False)
    assert WordCloudPicture("a", "nats", ()).drawn()["png"]
