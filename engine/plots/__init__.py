"""Pictures of numbers: each kind in the terminal, as PNG and SVG, with its numbers as CSV. They know no method."""

from engine.plots.chips import Chips, Token
from engine.plots.curves import Curve, CurvePicture, Panel, Point, heading, table
from engine.plots.dots import DotPanel, DotPicture
from engine.plots.heatmap import Heatmap, HeatmapPicture
from engine.plots.picture import Picture, save_picture, screen, show
from engine.plots.scatter import ScatterGroup, ScatterPanel, ScatterPicture

__all__ = [
    "Chips",
    "Curve",
    "CurvePicture",
    "DotPanel",
    "DotPicture",
    "Heatmap",
    "HeatmapPicture",
    "Panel",
    "Picture",
    "Point",
    "ScatterGroup",
    "ScatterPanel",
    "ScatterPicture",
    "Token",
    "heading",
    "save_picture",
    "screen",
    "show",
    "table",
]
