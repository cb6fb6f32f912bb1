"""A report on a terminal of 80 columns: hypotheses with their numbers, then the charts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from engine.cd.pipeline.report import Report, by_strength, verdict
from engine.plots import Picture, screen, show
from engine.printable import printable

_SHOWN = ("hypotheses", "trend", "topics")
"""The charts that say something in a terminal; the others are pictures beside the report."""


def show_report(report: Report, pictures: Mapping[str, Picture]) -> None:
    width, _ = screen()
    for one in by_strength(report):
        head = f"{one['id']} {one['status']}: {printable(one['text'])}"
        print(textwrap.fill(head, width, subsequent_indent="     "))
        print(textwrap.fill(printable(verdict(one)), width, initial_indent="     ", subsequent_indent="     "))
    for name in _SHOWN:
        if name in pictures:
            show(pictures[name])
