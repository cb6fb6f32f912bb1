"""The settings of `tiller cd show`. No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.cd.decoding.numbers import MEASURES, WEIGHTED
from engine.cd.settings import Region
from engine.settings import StepSettings, option


class ShowSettings(StepSettings):
    """Show texts of two models and where they differ; several cells are set side by side."""

    step: ClassVar[str] = "cd.show"

    cell: tuple[str, ...] = option((), "cells' names, or beginnings of their keys (none: all)", positional=True)
    measure: str = option("kl", f"what texts are sorted and tokens coloured by: {', '.join((*MEASURES, WEIGHTED))}")
    region: Region = option("generated", "the written tokens, the prompt's (see decode's --measure-prompt), or both")
    sort: Literal["text", "prompt", "published", "none"] = option(
        "text", "texts by their own means; prompts by theirs, each with its texts; the published order; or as recorded"
    )
    top: int | None = option(20, "show only the first so many texts (none: all)", ge=1)
    html: bool = option(False, "also write them as a page on which hovering tells the numbers", affects_result=False)
    csv: str | None = option(None, "also write all of them into this file, in the published columns", affects_result=False)
    vocabulary: bool = option(False, "show which vocabulary entries make the difference, and which tokens it falls on")
