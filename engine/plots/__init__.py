"""Pictures of numbers: each kind in the terminal, as PNG and SVG, with its numbers as CSV. They know no method."""

from engine.plots.bars import Bar, BarPanel, BarPicture
from engine.plots.chips import Chips, Token
from engine.plots.curves import Curve, CurvePicture, Panel, Point, heading, table
from engine.plots.dots import DotPanel, DotPicture
from engine.plots.heatmap import Heatmap, HeatmapPicture
from engine.plots.histogram import Histogram, HistogramPicture
from engine.plots.picture import Picture, save_picture, screen, show
from engine.plots.scatter import FitLine, ScatterGroup, ScatterPanel, ScatterPicture
from engine.plots.words import Word, WordCloudPicture

__all__ = [
    "Bar",
    "BarPanel",
    "BarPicture",
    "Chips",
    "Curve",
    "CurvePicture",
    "DotPanel",
    "DotPicture",
    "FitLine",
    "Heatmap",
    "HeatmapPicture",
    "Histogram",
    "HistogramPicture",
    "Panel",
    "Picture",
    "Point",
    "ScatterGroup",
    "ScatterPanel",
    "ScatterPicture",
    "Token",
    "Word",
    "WordCloudPicture",
    "heading",
    "save_picture",
    "screen",
    "show",
    "table",
]
