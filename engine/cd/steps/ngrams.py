"""`tiller cd ngrams CELL…`: the words, or sequences of words or tokens, that the divergence falls on."""

from __future__ import annotations

from collections.abc import Iterable

from engine.cd.analysis.ngrams import Ngram, Units, score_ngrams, words
from engine.cd.analysis.runs import Run, check_metrics, metric_name, pieces, read_runs
from engine.cd.analysis.stats_settings import NgramSettings
from engine.errors import InputError
from engine.plots import Word, WordCloudPicture, save_picture, show
from engine.printable import printable
from engine.text_table import text_table
from engine.workspace import find_workspace


def run(settings: NgramSettings) -> str:
    if settings.n_to is not None and settings.n_to < settings.n:
        raise InputError(f"--n-to {settings.n_to} is below --n {settings.n}; sequences go from n up to it.")
    check_metrics([settings.measure], "--measure", perplexities=False)
    workspace = find_workspace()
    runs = read_runs(workspace, settings, [settings.measure])
    value = "occurrences" if settings.ignore_divergences else f"summed {metric_name(settings.measure)}"
    paths, count = [], 0
    for one in runs:
        scored = score_ngrams(_units(one, settings), settings.n, settings.n_to)
        found = [gram for gram in scored if gram.count >= settings.min_count]
        count += len(found)
        picture = WordCloudPicture(f"{one.name}: {_what(settings)}", value, _words(found, settings))
        path = save_picture(workspace, "cd-ngrams", settings.key(cells=",".join(one.cells)), picture, one.told())
        paths.append(workspace.relative(path))
        print(_table(found, settings))
        show(picture)
    left = f" that occur {settings.min_count} times or more" if settings.min_count > 1 else ""
    return f"ngrams: {count} sequences{left} → {', '.join(paths)}"


def _units(run: Run, settings: NgramSettings) -> Iterable[Units]:
    for text in run.texts:
        tokens = pieces(text, settings.region)
        numbers = text.numbers(settings.measure, settings.region).tolist()
        values = [1.0] * len(tokens) if settings.ignore_divergences else numbers
        if settings.unit == "words":
            yield words(tokens, values)
        else:
            yield list(zip(tokens, values, strict=True))


def _words(found: list[Ngram], settings: NgramSettings) -> tuple[Word, ...]:
    scored = [Word(_text(gram, settings), _score(gram, settings), gram.count) for gram in found]
    return tuple(sorted((word for word in scored if word.value > 0), key=lambda word: -word.value))


def _score(gram: Ngram, settings: NgramSettings) -> float:
    return float(gram.count) if settings.ignore_divergences else gram.score


def _text(gram: Ngram, settings: NgramSettings) -> str:
    return " ".join(gram.units) if settings.unit == "words" else "".join(gram.units)


def _what(settings: NgramSettings) -> str:
    last = settings.n_to or settings.n
    if last == 1:
        return settings.unit
    return f"sequences of {settings.n if last == settings.n else f'{settings.n} to {last}'} {settings.unit}"


def _table(found: list[Ngram], settings: NgramSettings) -> str:
    ranked = sorted(found, key=lambda gram: -_score(gram, settings))[: settings.listed]
    names = [printable(_text(gram, settings)).replace(" ", "␣" if settings.unit == "tokens" else " ")[:40] for gram in ranked]
    columns = [("places", [str(gram.count) for gram in ranked]), ("texts", [str(gram.texts) for gram in ranked])]
    if not settings.ignore_divergences:
        columns.append(("sum", [f"{gram.score:.2f}" for gram in ranked]))
        columns.append(("mean", [f"{gram.mean:.3f}" for gram in ranked]))
    return text_table((_what(settings), names), columns, numbers=True)
