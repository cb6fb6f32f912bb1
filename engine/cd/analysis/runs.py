"""Runs: texts of one or several cells under a name, and their numbers as arrays.

Owns how cells become runs and what a metric of a text is. It draws and tests nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.stats_settings import CellsSettings
from engine.cd.decoding.numbers import MEASURES, WEIGHTED
from engine.cd.settings import MemberName, Region
from engine.cd.texts.cells import cell_label, cell_records, read_cells
from engine.cd.texts.records import MeasuredText, read_texts
from engine.errors import InputError
from engine.workspace import Workspace

PERPLEXITIES: dict[str, MemberName] = {"starting_perplexity": "starting", "comparison_perplexity": "comparison"}
_LONGEST_NAME = 34


@dataclass(frozen=True)
class Run:
    name: str
    cells: tuple[str, ...]
    labels: tuple[str, ...]
    texts: tuple[MeasuredText, ...]

    def told(self) -> str:
        """What it is made of, in a line."""
        parts = (f"{label} ({cell[:8]})" for label, cell in zip(self.labels, self.cells, strict=True))
        return f"{self.name}: {' + '.join(parts)}"

    def prompts(self) -> list[str]:
        """[texts], each one's prompt id."""
        return [text.prompt_id for text in self.texts]

    def metric(self, name: str, region: Region) -> NDArray[np.float64]:
        """[texts]: a measure's mean over each text's tokens, or a perplexity; NaN where a text has no tokens."""
        if name in PERPLEXITIES:
            return np.array([text.perplexity(PERPLEXITIES[name], region) for text in self.texts], dtype=np.float64)
        return np.array([text.mean(name, region) for text in self.texts], dtype=np.float64)

    def tokens(self, measure: str, region: Region, skip: float = 0.0) -> list[NDArray[np.float64]]:
        """For every text its tokens' numbers, [tokens]; NaN in place of the first share `skip` of them."""
        found = []
        for text in self.texts:
            numbers = text.numbers(measure, region).astype(np.float64)
            numbers[: round(skip * len(numbers))] = np.nan
            found.append(numbers)
        return found


def pieces(text: MeasuredText, region: Region) -> list[str]:
    """The region's tokens as text, in step with its numbers."""
    return [*(text.prompt_tokens if region != "generated" else ()), *(text.tokens if region != "prompt" else ())]


def metric_name(metric: str) -> str:
    """A metric as an axis is labelled by it."""
    if metric in PERPLEXITIES:
        return f"perplexity of {'S' if PERPLEXITIES[metric] == 'starting' else 'C'}"
    return MEASURES.get(metric, "published weighted form")


def check_metrics(metrics: Sequence[str], option: str, perplexities: bool = True) -> None:
    """Refuse names that are no metric before anything is read."""
    known = [*MEASURES, WEIGHTED, *(PERPLEXITIES if perplexities else ())]
    for metric in metrics:
        if metric not in known:
            raise InputError(f"{option} {metric} is no measure; it is one of {', '.join(known)}.")


def read_runs(workspace: Workspace, settings: CellsSettings, metrics: Sequence[str]) -> list[Run]:
    """The runs that the settings name. InputError where one has no text with these metrics in the region."""
    keys = read_cells(workspace, settings.cell)
    labels = {key: cell_label(record) for key, record in cell_records(workspace).items() if key in keys}
    names = _names(workspace, keys, settings.groups)
    runs: dict[str, Run] = {}
    for key, name in zip(keys, names, strict=True):
        known = runs.get(name, Run(name, (), (), ()))
        runs[name] = Run(
            name, (*known.cells, key), (*known.labels, labels[key]), (*known.texts, *read_texts(workspace, key).values())
        )
    for run in runs.values():
        for metric in metrics:
            if not np.isfinite(run.metric(metric, settings.region)).any():
                where = "" if settings.region == "generated" else f" in region {settings.region}"
                raise InputError(
                    f"No text of {', '.join(run.cells)} has numbers of {metric}{where}; ask for another, or write texts with "
                    "it first (--measure-prompt, --legacy-divergence)."
                )
    return list(runs.values())


def _names(workspace: Workspace, keys: Sequence[str], groups: Sequence[str]) -> list[str]:
    """The groups' names, or for each cell the shortest that tells it apart: its rule, its label, its key."""
    if groups:
        if len(groups) != len(keys):
            raise InputError(f"--groups has {len(groups)} names for {len(keys)} cells; give one for each, in their order.")
        return list(groups)
    records = cell_records(workspace)
    for candidates in ([records[key]["facts"]["rule"] for key in keys], [cell_label(records[key]) for key in keys]):
        if max(Counter(candidates).values()) == 1 and max(map(len, candidates)) <= _LONGEST_NAME:
            return candidates
    return [f"{records[key]['facts']['rule']} {key[:6]}" for key in keys]
