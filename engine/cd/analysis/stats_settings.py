"""The settings of `tiller cd stats` and `tiller cd ngrams`. Cells go by their keys. No torch, no numpy."""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.cd.settings import Region
from engine.embedding_settings import EmbedderSettings
from engine.settings import StepSettings, option

Shown = Literal["spread", "pooled", "pairs", "positions", "indices", "values", "lags", "tokens", "means", "map"]
"""The pictures of `tiller cd stats`, by the middle of their files' names."""
Mark = Literal["o", "^", "s", "D", "v", "P", "X", "<", ">"]


class CellsSettings(StepSettings):
    """Which texts."""

    cell: tuple[str, ...] = option(
        (), "keys of cells with texts, or their beginnings (none: the only one)", affects_result=False, positional=True
    )
    groups: tuple[str, ...] = option(
        (), "a name for each cell; cells of the same name are one run (none: every cell is a run of its own)"
    )
    region: Region = option("generated", "over which tokens: of the written text, of the prompt, or of both")


class StatsSettings(CellsSettings, EmbedderSettings):
    """How divergences, perplexities and entropies are spread over texts, tokens and places, and whether runs differ."""

    step: ClassVar[str] = "cd.stats"

    measures: tuple[str, ...] = option(
        ("kl", "reverse_kl", "starting_perplexity", "comparison_perplexity"),
        "what is drawn of texts: measures of `tiller cd decode`, and both models' perplexities",
    )
    token_measure: str = option("kl", "what is drawn of single tokens")
    skip: float = option(
        0.0, "share of every text's tokens, from its start, that pictures of single tokens leave out", ge=0, lt=1
    )
    max_points: int = option(5000, "draw at most so many points of a run, chosen by the seed", ge=10)
    keep_outliers: bool = option(
        False, "keep what lies beyond 4 standard deviations, and the 1 % furthest from the median, in pictures and fits"
    )
    indices: int = option(40, "places in a text, from its start, that are looked at one by one", ge=2)
    lags: int = option(4, "tokens that follow each other at up to this distance are correlated", ge=1)
    min_count: int = option(3, "tokens are listed that occur so often", ge=1)
    listed: int = option(10, "tokens listed at either end", affects_result=False, ge=1)
    markers: tuple[Mark, ...] = option((), "a mark for each run in scatters (none: all different)")
    embeddings: bool = option(True, "compare runs by what their texts are about: embed, test and map them")
    permutations: int = option(999, "rearrangements behind every p-value of a two-sample test", ge=19)
    most_tested: int = option(1500, "texts of a run that two-sample tests look at, whole prompts chosen by the seed", ge=10)
    seed: int = option(0, "of what is drawn by chance: points, rearrangements, the map")
    shown: tuple[Shown, ...] = option(("tokens",), "pictures that are printed, too; all are written", affects_result=False)


class NgramSettings(CellsSettings):
    """Which words or tokens the divergence falls on: a table and a cloud."""

    step: ClassVar[str] = "cd.ngrams"

    measure: str = option("kl", "the divergence that is summed: a measure of `tiller cd decode`")
    unit: Literal["words", "tokens"] = option("words", "what a sequence is made of")
    n: int = option(1, "how many of them make a sequence", ge=1, le=20)
    n_to: int | None = option(None, "sequences of n up to this many", ge=1, le=20)
    ignore_divergences: bool = option(False, "score a sequence by how often it occurs")
    min_count: int = option(2, "sequences that occur so often", ge=1)
    listed: int = option(20, "sequences listed", affects_result=False, ge=1)
