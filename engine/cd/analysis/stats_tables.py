"""The tables of `tiller cd stats`: for a terminal of 80 columns, and as rows of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from engine.cd.analysis.output_stats import Fit, Spread, spread
from engine.cd.analysis.run_distances import Distance
from engine.cd.analysis.runs import PERPLEXITIES, Run
from engine.cd.settings import Region
from engine.printable import printable
from engine.text_table import text_table

METRICS = ("kl", "reverse_kl", "js", *PERPLEXITIES, "starting_entropy", "comparison_entropy")
"""What the table tells of every run, whatever is drawn."""

Row = tuple[str, str, str, Spread]
"""Run, metric, of texts or of tokens, and its numbers."""


def spreads(runs: Sequence[Run], metrics: Iterable[str], region: Region) -> list[Row]:
    rows: list[Row] = []
    for run in runs:
        prompts = run.prompts()
        for metric in dict.fromkeys((*METRICS, *metrics)):
            found = spread(run.metric(metric, region), prompts)
            if found is not None:
                rows.append((run.name, metric, "texts", found))
            if metric in PERPLEXITIES:
                continue
            tokens = run.tokens(metric, region)
            owners = [prompt for prompt, one in zip(prompts, tokens, strict=True) for _ in one]
            found = spread(np.concatenate([np.empty(0), *tokens]), owners)
            if found is not None:
                rows.append((run.name, metric, "tokens", found))
    return rows


def spread_table(name: str, rows: Sequence[Row], runs: Sequence[Run]) -> str:
    """One run's numbers of texts, and below how its tokens are spread."""
    own = [(metric, found) for run, metric, of, found in rows if run == name and of == "texts"]
    single = {metric: found for run, metric, of, found in rows if run == name and of == "tokens"}
    columns = [
        ("mean [95 % interval]", [f"{_number(f.mean.mean)} [{_number(f.mean.low)}, {_number(f.mean.high)}]" for _, f in own]),
        ("sd", [_number(found.sd) for _, found in own]),
        ("5%", [_number(found.quantiles[0]) for _, found in own]),
        ("50%", [_number(found.quantiles[1]) for _, found in own]),
        ("95%", [_number(found.quantiles[2]) for _, found in own]),
    ]
    of_tokens = [
        ("n", [str(found.texts) for found in single.values()]),
        ("mean", [_number(found.mean.mean) for found in single.values()]),
        ("sd", [_number(found.sd) for found in single.values()]),
        ("5%", [_number(found.quantiles[0]) for found in single.values()]),
        ("50%", [_number(found.quantiles[1]) for found in single.values()]),
        ("95%", [_number(found.quantiles[2]) for found in single.values()]),
    ]
    run = next(one for one in runs if one.name == name)
    most = max((found.outliers for _, found in own), default=0)
    said = f"{printable(name)}: {len(run.texts)} texts of {len(set(run.prompts()))} prompts, cells {', '.join(run.cells)}"
    far = f"up to {most} texts lie far off: they count here, pictures and fits leave them out" if most else ""
    table = text_table(("of texts", [metric for metric, _ in own]), columns, numbers=True)
    below = text_table(("of tokens", list(single)), of_tokens, numbers=True)
    return "\n".join(line for line in (said, far, table) if line) + f"\n\n{below}"


def spread_csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "metric", "of", "n", "mean", "low", "high", "prompts", "sd", "q05", "q50", "q95", "outliers"])
    for run, metric, of, found in rows:
        mean = found.mean
        numbers = [f"{number:.6f}" for number in (mean.mean, mean.low, mean.high)]
        others = [f"{number:.6f}" for number in (found.sd, *found.quantiles)]
        writer.writerow([run, metric, of, found.texts, *numbers, mean.units, *others, found.outliers])
    return out.getvalue()


def lag_table(runs: Sequence[Run], fits: Sequence[Sequence[Fit | None]], measure: str) -> str:
    """How much a token's divergence says of that of the tokens behind it."""
    lags = len(fits[0])
    columns = [
        (f"i, i+{lag + 1}", ["–" if one[lag] is None else f"{one[lag].correlation:+.2f}" for one in fits])  # pyright: ignore
        for lag in range(lags)
    ]
    head = f"Correlation of {measure} between tokens of a text that stand so far apart"
    return f"{head}\n{text_table(('run', [printable(run.name) for run in runs]), columns, numbers=True)}"


def distance_table(found: Sequence[Distance]) -> str:
    """Every pair of runs with its tests; p-values are told as they are and adjusted."""
    rows = [(one, test, adjusted) for one in found for test, adjusted in one.tests]
    columns = [
        ("test", [test.name for _, test, _ in rows]),
        ("value", [f"{test.statistic:.3f}" for _, test, _ in rows]),
        ("p", [f"{test.p:.4f}" for _, test, _ in rows]),
        ("adjusted", [f"{adjusted:.4f}" for _, _, adjusted in rows]),
        ("texts", [f"{one.texts[0]} + {one.texts[1]}" for one, _, _ in rows]),
    ]
    names = ("runs", [printable(f"{one.first} / {one.second}") for one, _, _ in rows])
    left = sum(one.left_out for one in found)
    head = "Do runs differ in what their texts are about? Tests in embedding space"
    note = "p: share of rearrangements of whole prompts as far apart; then adjusted for all"
    lines = [head, note]
    if left:
        lines.append(f"{left} texts are left out: without a counterpart, or beyond --most-tested")
    if accuracies := [f"{test.accuracy:.0%}" for _, test, _ in rows if test.accuracy is not None]:
        lines.append(f"right guesses of the classifier: {', '.join(accuracies)}")
    return "\n".join([*lines, text_table(names, columns, numbers=True)])


def distance_csv(found: Sequence[Distance]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["first", "second", "test", "statistic", "p", "adjusted", "draws", "first_texts", "second_texts", "accuracy"]
    )
    for one in found:
        for test, adjusted in one.tests:
            right = "" if test.accuracy is None else f"{test.accuracy:.6f}"
            numbers = [f"{number:.6f}" for number in (test.statistic, test.p, adjusted)]
            writer.writerow([one.first, one.second, test.name, *numbers, test.draws, *one.texts, right])
    return out.getvalue()


def _number(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}" if abs(value) < 1e5 else f"{value:.1e}"
