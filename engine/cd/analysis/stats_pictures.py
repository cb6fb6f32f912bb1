"""The pictures of `tiller cd stats` (spec §6.2): what is drawn of which numbers, and what is left out.

Owns the way from runs to pictures of `engine.plots`. Every picture says how many numbers it leaves out, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from engine.cd.analysis.output_stats import Fit, chosen, fit, paired, single, spans_decades
from engine.cd.analysis.runs import Run, metric_name, pieces
from engine.cd.analysis.stats_settings import StatsSettings
from engine.cd.analysis.token_stats import TokenMean, by_index, lagged, token_means
from engine.plots import (
    Bar,
    BarPanel,
    BarPicture,
    FitLine,
    Heatmap,
    HeatmapPicture,
    Histogram,
    HistogramPicture,
    Picture,
    ScatterGroup,
    ScatterPanel,
    ScatterPicture,
)
from engine.plots.style import MARKERS

_ALL = "all runs"
_TOKEN_BINS, _INDEX_BINS = 100, 16
_POOLED_COLOR = 7  # grey: of no run


def pictures(runs: Sequence[Run], settings: StatsSettings) -> Iterator[tuple[str, Picture]]:
    """(name, picture) of everything that needs no embeddings."""
    metrics = {name: [run.metric(name, settings.region) for run in runs] for name in settings.measures}
    tokens = [run.tokens(settings.token_measure, settings.region, settings.skip) for run in runs]
    names = [run.name for run in runs]
    yield "spread", _histograms(names, metrics, settings)
    if len(runs) > 1:
        pooled = {name: [np.concatenate(values)] for name, values in metrics.items()}
        yield "pooled", _histograms([_ALL], pooled, settings)
    if len(metrics) > 1:
        yield "pairs", _pairs(names, metrics, settings)
    yield "positions", _positions(names, tokens, settings)
    yield "indices", _indices(names, tokens, settings)
    flat = {settings.token_measure: [np.concatenate([np.empty(0), *one]) for one in tokens]}
    yield "values", _histograms(names, flat, settings, _TOKEN_BINS, logarithmic=True, of="tokens")
    yield "lags", _lags(names, tokens, settings)
    tables = [token_table(run, one, settings) for run, one in zip(runs, tokens, strict=True)]
    yield "tokens", _token_bars(names, tables, settings)
    means = {settings.token_measure: [np.array([token.mean for token in table]) for table in tables]}
    yield "means", _histograms(names, means, settings, of="token means")


def text_map(runs: Sequence[Run], vectors: Sequence[NDArray[np.float32]], settings: StatsSettings) -> Picture | None:
    """Texts in a plane by t-SNE, for looking: distances in it mean little. None for fewer than 5 texts."""
    from sklearn.manifold import TSNE

    share = max(settings.max_points // len(runs), 1)
    places = [chosen(np.ones(len(one), dtype=bool), share, settings.seed) for one in vectors]
    points = np.concatenate([one[place] for one, place in zip(vectors, places, strict=True)])
    if len(points) < 5:
        return None
    plane = TSNE(
        2, perplexity=min(30, (len(points) - 1) / 3), early_exaggeration=12, init="pca", random_state=settings.seed
    ).fit_transform(points)
    groups, start = [], 0
    for number, (run, place) in enumerate(zip(runs, places, strict=True)):
        rows = plane[start : start + len(place)].tolist()
        labels = tuple(run.texts[index].id for index in place)
        groups.append(ScatterGroup(run.name, tuple((x, y) for x, y in rows), number, _mark(number, settings), labels))
        start += len(place)
    title = "texts by what they are about (t-SNE: for looking only)"
    there = sum(map(len, vectors))
    note = _left_out(there, there, len(points), "texts")
    return ScatterPicture((ScatterPanel(title, "no unit", "no unit", tuple(groups), origin=False, note=note),))


def token_table(run: Run, tokens: Sequence[NDArray[np.float64]], settings: StatsSettings) -> list[TokenMean]:
    """The run's tokens by falling mean."""
    texts = [pieces(text, settings.region) for text in run.texts]
    return token_means(zip(texts, tokens, strict=True), settings.min_count)


def _histograms(
    names: Sequence[str],
    metrics: Mapping[str, Sequence[NDArray[np.float64]]],
    settings: StatsSettings,
    bins: int = 30,
    logarithmic: bool = False,
    of: str = "texts",
) -> HistogramPicture:
    panels = []
    for metric, values in metrics.items():
        series, near, known = {}, 0, 0
        for name, one in zip(names, values, strict=True):
            keep = single(one, settings.keep_outliers)
            near, known = near + int(keep.sum()), known + int(np.isfinite(one).sum())
            series[name] = tuple(one[chosen(keep, 2 * settings.max_points, settings.seed)].tolist())
        title = f"{metric} of {of}"
        note = _left_out(known, near, sum(map(len, series.values())), of)
        decades = spans_decades(np.concatenate(list(series.values())))
        panels.append(Histogram(title, metric_name(metric), series, bins, not logarithmic, logarithmic, note, decades))
    return HistogramPicture(tuple(panels))


def _left_out(known: int, near: int, drawn: int, of: str) -> str:
    """near: how many of those known do not lie far off; drawn: how many of these are drawn."""
    far = f"{known - near} of {known} {of} lie far off and are left out" if near < known else ""
    few = f"{drawn} of {near} are drawn (--max-points)" if drawn < near else ""
    return "; ".join(part for part in (far, few) if part)


def _pairs(
    names: Sequence[str], metrics: Mapping[str, Sequence[NDArray[np.float64]]], settings: StatsSettings
) -> ScatterPicture:
    panels = []
    for one, other in combinations(metrics, 2):
        sides = list(zip(metrics[one], metrics[other], strict=True))
        panels.append(
            _scatter(names, sides, (one, other), (metric_name(one), metric_name(other)), settings, "texts", pooled=True)
        )
    return ScatterPicture(tuple(panels))


def _positions(
    names: Sequence[str], tokens: Sequence[Sequence[NDArray[np.float64]]], settings: StatsSettings
) -> ScatterPicture:
    sides = []
    for run in tokens:
        places = np.concatenate([np.empty(0), *(np.arange(len(one), dtype=np.float64) for one in run)])
        sides.append((places, np.concatenate([np.empty(0), *run])))
    labels = ("token index", metric_name(settings.token_measure))
    return ScatterPicture((_scatter(names, sides, ("token index", settings.token_measure), labels, settings, "tokens"),))


def _lags(names: Sequence[str], tokens: Sequence[Sequence[NDArray[np.float64]]], settings: StatsSettings) -> ScatterPicture:
    panels = []
    for lag in range(1, settings.lags + 1):
        sides = [lagged(run, lag) for run in tokens]
        labels = (f"{settings.token_measure} at token i", f"{settings.token_measure} at token i + {lag}")
        panels.append(_scatter(names, sides, ("i", f"i + {lag}"), labels, settings, "pairs of tokens"))
    return ScatterPicture(tuple(panels))


def lag_fits(tokens: Sequence[NDArray[np.float64]], settings: StatsSettings) -> list[Fit | None]:
    """The lines of `_lags` for one run, at lag 1, 2, …"""
    sides = [lagged(tokens, lag) for lag in range(1, settings.lags + 1)]
    return [_fit(xs, ys, settings) for xs, ys in sides]


def _fit(xs: NDArray[np.float64], ys: NDArray[np.float64], settings: StatsSettings) -> Fit | None:
    keep = paired(xs, ys, settings.keep_outliers)
    return fit(xs[keep], ys[keep])


def _scatter(
    names: Sequence[str],
    sides: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    titles: tuple[str, str],
    labels: tuple[str, str],
    settings: StatsSettings,
    of: str,
    pooled: bool = False,
) -> ScatterPanel:
    """Pairs by run, each with its line; pooled: and the line of all runs together."""
    groups, near, known = [], 0, 0
    for number, (name, (xs, ys)) in enumerate(zip(names, sides, strict=True)):
        keep = paired(xs, ys, settings.keep_outliers)
        near, known = near + int(keep.sum()), known + int((np.isfinite(xs) & np.isfinite(ys)).sum())
        places = chosen(keep, settings.max_points, settings.seed)
        points = tuple(zip(xs[places].tolist(), ys[places].tolist(), strict=True))
        groups.append(ScatterGroup(name, points, number, _mark(number, settings), (), fit=_line(xs, ys, keep)))
    note = _left_out(known, near, sum(len(group.points) for group in groups), of)
    if pooled and len(groups) > 1:
        xs, ys = (np.concatenate([side[place] for side in sides]) for place in (0, 1))
        line = _line(xs, ys, paired(xs, ys, settings.keep_outliers))
        groups.append(ScatterGroup(_ALL, (), _POOLED_COLOR, 0, (), fit=line))
    return ScatterPanel(f"{titles[1]} over {titles[0]}", *labels, tuple(groups), origin=False, note=note)


def _line(xs: NDArray[np.float64], ys: NDArray[np.float64], keep: NDArray[np.bool_]) -> FitLine | None:
    found = fit(xs[keep], ys[keep])
    if found is None:
        return None
    span = (float(xs[keep].min()), float(xs[keep].max()))
    return FitLine(found.slope, found.intercept, span, f"R² {found.r2:.2f}")


def _indices(names: Sequence[str], tokens: Sequence[Sequence[NDArray[np.float64]]], settings: StatsSettings) -> HeatmapPicture:
    """For every place in a text how its numbers are spread: rows are bins, the largest on top; colours say how many tokens."""
    longest = max((len(one) for run in tokens for one in run), default=1)
    tables = [by_index(run, min(settings.indices, longest)) for run in tokens]
    known = np.concatenate([table[~np.isnan(table)] for table in tables])
    inside = known[single(known, settings.keep_outliers)]
    decades = spans_decades(inside)
    scaled = np.histogram_bin_edges(np.log10(inside) if decades else inside, _INDEX_BINS)
    edges = 10**scaled if decades else scaled
    edges[[0, -1]] = inside.min(initial=edges[0]), inside.max(initial=edges[-1])  # powers may miss the ends by a rounding
    counts = [np.stack([np.histogram(column, edges)[0] for column in table.T], axis=1)[::-1] for table in tables]
    most = max(int(count.max(initial=1)) for count in counts)
    rows = tuple(f"{low:.3g}–{high:.3g}" for low, high in pairwise(edges))[::-1]
    columns = tuple(str(index) for index in range(tables[0].shape[1]))
    note = _left_out(len(known), len(inside), len(inside), "tokens")
    maps = tuple(
        Heatmap(
            name, settings.token_measure, "token index", "tokens", rows, columns,
            tuple(tuple(float(cell) if cell else None for cell in row) for row in count),
            (1, max(most, 2)), diverging=False, digits=0, note=note, logarithmic=True,
        )
        for name, count in zip(names, counts, strict=True)
    )  # fmt: skip
    return HeatmapPicture(maps, cell_width=0.24)


def _token_bars(names: Sequence[str], tables: Sequence[Sequence[TokenMean]], settings: StatsSettings) -> BarPicture:
    panels = []
    for name, found in zip(names, tables, strict=True):
        top = found[: settings.listed]
        bottom = found[max(len(found) - settings.listed, len(top)) :]
        bars = tuple(
            Bar(repr(one.token)[1:-1].replace(" ", "␣"), one.mean, group=group, note=f"×{one.count}")
            for group, part in enumerate((top, bottom))
            for one in part
        )
        said = f"of {len(found)} tokens that occur {settings.min_count} times or more"
        title = f"{name}: tokens by their mean"
        panels.append(
            BarPanel(title, metric_name(settings.token_measure), bars or (Bar("none", 0.0),), ("highest", "lowest"), None, said)
        )
    return BarPicture(tuple(panels))


def _mark(number: int, settings: StatsSettings) -> int:
    return MARKERS.index(settings.markers[number % len(settings.markers)]) if settings.markers else number
