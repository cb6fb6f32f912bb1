"""Words as large as what they stand for: a cloud as PNG and SVG, bars in the terminal.

Owns the look of clouds. Where words go is the wordcloud library's business; they are drawn as outlines of the typeface that
comes with matplotlib, so neither the machine's fonts nor a viewer's matter.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.plots.bars import Bar, BarPanel, BarPicture
from engine.plots.style import COLORS, draw
from engine.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 1100, 800  # half of the published 2200 × 1600: outlines need no more
_MOST = 150
_IN_TERMINAL = 24


@dataclass(frozen=True, slots=True)
class Word:
    """The area of its letters is as its `value`, as far as there is room; only values above 0 are drawn. `count`: how often it
    occurs."""

    text: str
    value: float
    count: int


@dataclass(frozen=True, slots=True)
class WordCloudPicture:
    """words: the largest first."""

    title: str
    value_name: str
    words: tuple[Word, ...]
    note: str = ""

    def text(self, width: int, color: bool) -> str:
        shown = self.words[:_IN_TERMINAL]
        if not shown:
            return f"{printable(self.title)} — there is nothing to draw"
        bars = tuple(Bar(word.text, word.value, note=f"×{word.count}") for word in shown)
        left = len(self.words) - len(shown)
        note = "; ".join(part for part in (self.note, f"{left} more in the picture and its numbers" if left else "") if part)
        return BarPicture((BarPanel(self.title, self.value_name, bars, note=note),)).text(width, color)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["picture", "measure", "word", "value", "count"])
        writer.writerows([self.title, self.value_name, word.text, f"{word.value:.6f}", word.count] for word in self.words)
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        def paint(figure: Figure) -> None:
            axes = figure.subplots()
            axes.set_xlim(0, _WIDTH)
            axes.set_ylim(_HEIGHT, 0)
            axes.set_aspect("equal")
            axes.axis("off")
            axes.set_title(f"{self.title} — size: {self.value_name}")
            for patch in _outlines(self.words):
                axes.add_patch(patch)

        return draw((8.8, 6.8), paint, told)


def _outlines(words: tuple[Word, ...]):
    """A patch for each word that found room, upright or turned, where the library put it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D
    from PIL import ImageFont
    from wordcloud import WordCloud

    frequencies: dict[str, float] = {}
    for word in words:
        if word.value > 0:
            shown = printable(word.text)
            frequencies[shown] = frequencies.get(shown, 0.0) + word.value
    if not frequencies:
        return
    typeface = FontProperties(family="DejaVu Sans")
    cloud = WordCloud(
        font_path=_font_file(), width=_WIDTH, height=_HEIGHT, max_words=_MOST, random_state=0, prefer_horizontal=0.9, margin=4,
        min_font_size=6, relative_scaling=1,  # pyright: ignore[reportArgumentType]  typed by its default, "auto"
    ).generate_from_frequencies({word: value**0.5 for word, value in frequencies.items()})  # fmt: skip
    for rank, ((word, _), size, (row, column), turned, _color) in enumerate(cloud.layout_):
        path = TextPath((0, 0), word, size=size, prop=typeface)
        place = Affine2D().translate(0, -path.get_extents().y1).scale(1, -1)  # rows go down; letters keep room at their left
        if turned is not None:
            advance = ImageFont.truetype(_font_file(), size).getlength(word)
            place = place.rotate_deg(-90).translate(0, advance)
        yield PathPatch(path.transformed(place.translate(column, row)), facecolor=COLORS[rank % len(COLORS)], linewidth=0)


def _font_file() -> str:
    import matplotlib

    return f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
