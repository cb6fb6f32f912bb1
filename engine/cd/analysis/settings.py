"""What decides a validated analysis: which texts, how they are grouped, who labels them, who judges, and how surely.

Texts are known by what their cells hold, models by their identities; neither is named in keys. No torch, no numpy.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from engine.cd.assistant_settings import AskedAssistantSettings
from engine.embedding_settings import EmbedderSettings
from engine.judges.settings import BackendSettings
from engine.settings import StepSettings, option


class GroupingSettings(EmbedderSettings):
    """How texts are grouped."""

    method: Literal["kmeans", "hdbscan"] = option("kmeans", "how clusters are found")
    clusters: int = option(8, "k-means: how many, of each set", ge=1)
    min_cluster_size: int = option(7, "clusters of fewer texts are shown, not labelled", ge=2)
    max_cluster_size: int | None = option(None, "clusters of more texts are shown, not labelled (hdbscan: are split)", ge=2)
    same_start: bool = option(False, "k-means of the second set begins with the centroids of the first")
    every: int = option(1, "only every so-manieth text of each prompt", ge=1)


class LabellingSettings(AskedAssistantSettings):
    """How labels are written: by the assistant, or, where there is none, as sets of terms."""

    seed: int = option(0, "of clusters, of what is shown and of permutations", ge=0, lt=2**32)
    labels: int = option(5, "labels written for each comparison", ge=1)
    shown_texts: int = option(10, "texts of either group that the assistant is shown for a label", ge=1)
    term_length: int = option(3, "longest term, in words", ge=1, le=8)


class ValidationSettings(BackendSettings):
    """How labels are held against texts that they were not written from."""

    judge: str | None = option(  # pyright: ignore[reportIncompatibleVariableOverride]
        None,
        "judges whether a label is true of a text: as for `tiller judge`; none: the assistant, and of terms whether they occur",
        affects_result=False,
    )
    mode: Literal["unitary", "head-to-head"] = option(
        "unitary", "judge texts one by one, or which of two texts a label fits better"
    )
    metric: Literal["auc", "acc"] = option(
        "auc", "auc: pairs in the right order; acc: on the right side of 0.5, on which is wrong"
    )
    keep: int = option(3, "labels of each comparison that are tested: the best on texts kept for choosing", ge=1)
    most_judged: int = option(400, "texts that a judge is asked about for one label; terms are looked for in all", ge=2)
    smallest_group: int = option(5, "texts that either group must have, to write from and to test on", ge=2)
    label_share: float = option(0.3, "share of prompts that labels are written from", gt=0, lt=1)
    select_share: float = option(0.2, "share of prompts on which labels are chosen; the others are for tests", gt=0, lt=1)
    unit: Literal["prompt", "text"] = option(
        "prompt", "what is kept together in one part: all texts of a prompt, or each text alone (for one or few prompts)"
    )
    permute: Literal["text", "prompt"] | None = option(
        None,
        "what changes places under the null: each text, or all of a prompt at once (none: the texts of a prompt that both "
        "cells answer, else whole prompts)",
    )
    permutations: int = option(9999, "rearrangements behind every p-value", ge=19)
    alpha: float = option(0.05, "false discovery rate of all tests together", gt=0, lt=1)


class AnalyseSettings(GroupingSettings, LabellingSettings, ValidationSettings):
    """What tells clusters of a cell's texts apart, or the texts of two cells; findings are tested on texts kept for that."""

    step: ClassVar[str] = "cd.analyse"

    cell: str = option(..., "key of a cell with texts, or its beginning", affects_result=False, positional=True)
    other: str | None = option(None, "a second cell, to compare the first with", affects_result=False, positional=True)
    self_test: Literal["planted", "plain"] | None = option(
        None,
        "compare one half of a cell's texts with the other; planted: after 5 % of the other half's words became a word that "
        "no text has, which must be found; plain: as they are, when nothing should be",
    )
    measure: str = option("js", "the divergence that texts and clusters are listed by: see `tiller cd decode`")
    generated_texts: int = option(
        0, "generative check: texts that the assistant writes for either side of a validated label (0: no check)", ge=0
    )
    map: Literal["pca", "tsne"] = option("pca", "how the map of texts is drawn")
    shown: int = option(3, "texts shown of each cluster: the most central, and at either end of its divergences", ge=0)
    html: bool = option(False, "write the report as a page, too", affects_result=False)

    def judging(self) -> BackendSettings | None:
        """Who judges; None: whether terms occur. Without a judge of its own the assistant is asked."""
        named = _fields(self, BackendSettings)
        if self.judge is not None:
            return BackendSettings(**named)
        if self.assistant is None:
            return None
        own = {"judge": self.assistant, "judge_model": self.assistant_model, "judge_key": self.assistant_key}
        return BackendSettings(**(named | own))


def _fields(settings: StepSettings, kind: type[StepSettings]) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in kind.model_fields}
