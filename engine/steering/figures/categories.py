"""TruthfulQA and MMLU by category: p(correct) at every multiplier, and whether that is better or worse than unsteered.

Owns the comparison at two decimals and the unweighted mean over categories, as the original told them. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from engine.plots.dots import DotPanel
from engine.steering.data import ChoiceSet
from engine.steering.experiment import Cell
from engine.steering.figures.letters import letter_mean
from engine.steering.figures.measured import TITLES, Sweep, asked_letters
from engine.steering.figures.sweep import where

AVERAGE = "mean of categories"
_KINDS: tuple[ChoiceSet, ...] = ("truthfulqa", "mmlu")
_UNNAMED = "no category"


def category_panels(sweep: Sweep) -> list[DotPanel]:
    panels: list[DotPanel] = []
    for _, own, _ in sweep.at_layers():
        for kind in _KINDS:
            if kind in sweep.settings.measure:
                panels += _panel(sweep, kind, own)
    return panels


def compared(value: float, unsteered: float) -> str:
    """`+` better, `-` worse, `=` the same, at two decimals."""
    above, below = round(value, 2), round(unsteered, 2)
    return "+" if above > below else "-" if above < below else "="


def _panel(sweep: Sweep, kind: ChoiceSet, own: Sequence[Cell]) -> list[DotPanel]:
    found = {cell.multiplier: _by_category(sweep, kind, cell) for cell in sorted(own, key=lambda cell: cell.multiplier)}
    found = {at: categories for at, categories in found.items() if categories}
    if not found:
        return []
    unsteered = _means(_by_category(sweep, kind, sweep.unsteered))
    alone = {cell.multiplier for cell in own if cell.key == sweep.unsteered.key}
    names = sorted({name for categories in found.values() for name in categories})
    counts = [max(len(categories.get(name, {})) for categories in found.values()) for name in names]
    series: dict[str, tuple[float | None, ...]] = {}
    marks: dict[str, tuple[str, ...]] = {}
    for at, categories in found.items():
        means = _means(categories)
        label = f"{at:+g}" if at else "0"
        series[label] = tuple(means.get(name) for name in (*names, AVERAGE))
        marks[label] = tuple(
            compared(means[name], unsteered[name]) if at not in alone and name in means and name in unsteered else ""
            for name in (*names, AVERAGE)
        )
    return [
        DotPanel(
            f"{sweep.behavior}: {TITLES[kind]} by category, {where(own[0])}",
            "mean probability of the correct answer",
            (*names, AVERAGE),
            (*counts, sum(counts)),
            series,
            marks,
            "+ better, - worse, = the same as unsteered, at two decimals: no test",
        )
    ]


def _by_category(sweep: Sweep, kind: ChoiceSet, cell: Cell) -> dict[str, list[Mapping[str, object]]]:
    found: dict[str, list[Mapping[str, object]]] = {}
    for row in asked_letters(sweep.experiment, sweep.settings, kind, cell).values():
        found.setdefault(row["category"] or _UNNAMED, []).append(row)
    return found


def _means(categories: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, float]:
    """Of every category, and over categories, each counting the same."""
    means = {name: letter_mean(rows) for name, rows in categories.items()}
    return means | {AVERAGE: fmean(means.values())} if means else {}
