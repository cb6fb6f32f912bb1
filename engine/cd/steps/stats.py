"""`tiller cd stats CELL…`: how divergences, perplexities and entropies are spread, and whether runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.cd.analysis.runs import Run, check_metrics, read_runs
from engine.cd.analysis.stats_settings import StatsSettings
from engine.embedding_settings import EmbedderSettings
from engine.errors import InputError
from engine.progress import Progress
from engine.workspace import Workspace, find_workspace


def run(settings: StatsSettings) -> str:
    check_metrics(settings.measures, "--measures")
    check_metrics([settings.token_measure], "--token-measure", perplexities=False)
    if not settings.measures:
        raise InputError("--measures names nothing to draw; give at least one measure.")
    workspace = find_workspace()
    runs = read_runs(workspace, settings, [*settings.measures, settings.token_measure])
    from engine.cd.analysis.stats_pictures import lag_fits, pictures
    from engine.cd.analysis.stats_tables import lag_table, spread_csv, spread_table, spreads
    from engine.plots import Picture, save_picture, show

    embedder = _embedder(workspace, settings)
    identity = {"embedder": embedder.identity} if embedder is not None else {}
    key = settings.key(cells=",".join(cell for one in runs for cell in one.cells), **identity)
    told = "; ".join(one.told() for one in runs)

    rows = spreads(runs, settings.measures, settings.region)
    print("\n\n".join(spread_table(one.name, rows, runs) for one in runs))
    table = _write(workspace, f"cd-stats-{key}.csv", key, spread_csv(rows))
    tokens = [one.tokens(settings.token_measure, settings.region, settings.skip) for one in runs]
    print(f"\n{lag_table(runs, [lag_fits(one, settings) for one in tokens], settings.token_measure)}")

    drawn: dict[str, Picture] = {}
    with Progress("pictures", _count(runs, settings)) as progress:
        for name, picture in pictures(runs, settings):
            save_picture(workspace, f"cd-stats-{name}", key, picture, told)
            drawn[name] = picture
            progress.advance()
        if embedder is not None:
            picture = _compare(workspace, runs, embedder, settings, key)
            if picture is not None:
                save_picture(workspace, "cd-stats-map", key, picture, told)
                drawn["map"] = picture
                progress.advance()
    for name in settings.shown:
        if name in drawn:
            show(drawn[name])
    count = sum(len(one.texts) for one in runs)
    folder = workspace.relative(workspace.plots)
    return f"stats {key}: {count} texts of {_runs(runs)}; {len(drawn)} pictures {folder}/cd-stats-*-{key} and {table.name}"


def _runs(runs: Sequence[Run]) -> str:
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}"


def _count(runs: Sequence[Run], settings: StatsSettings) -> int:
    return 7 + (len(runs) > 1) + (len(settings.measures) > 1) + settings.embeddings


def _embedder(workspace: Workspace, settings: StatsSettings):
    """None where nothing is to be embedded."""
    if not settings.embeddings:
        return None
    from engine.embeddings import EmbeddingCache, open_embedder

    own = EmbedderSettings(**{name: getattr(settings, name) for name in EmbedderSettings.model_fields})
    return EmbeddingCache(workspace, open_embedder(own))


def _compare(workspace: Workspace, runs: Sequence[Run], embedder, settings: StatsSettings, key: str):
    """Embed the texts, print and write the tests → their map."""
    from engine.cd.analysis.run_distances import distances
    from engine.cd.analysis.stats_pictures import text_map
    from engine.cd.analysis.stats_tables import distance_csv, distance_table

    vectors = [embedder.embed([text.text for text in one.texts]) for one in runs]
    if len(runs) > 1:
        found = distances(runs, vectors, settings.permutations, settings.most_tested, settings.seed)
        print(f"\n{distance_table(found)}")
        _write(workspace, f"cd-stats-tests-{key}.csv", key, distance_csv(found))
    return text_map(runs, vectors, settings)


def _write(workspace: Workspace, name: str, key: str, content: str) -> Path:
    from engine.atomic import write_whole
    from engine.store import note_artifact

    path = workspace.plots / name
    write_whole(path, content.encode())
    note_artifact(workspace, path, "tables", key)
    return path
