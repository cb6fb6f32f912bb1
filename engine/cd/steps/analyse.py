"""`tiller cd analyse`: what tells clusters of a cell's texts apart, or the texts of two cells, with honest tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.atomic import write_whole
from engine.cd.analysis.settings import AnalyseSettings
from engine.cd.decoding.numbers import MEASURES
from engine.cd.texts.cells import cell_label, cell_records, read_cells
from engine.embeddings import EmbeddingCache, open_embedder
from engine.errors import EngineError, InputError
from engine.progress import notice
from engine.store import note_artifact
from engine.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from engine.assistants.assistant import Assistant
    from engine.cd.analysis.analysis import AnalysisRecord
    from engine.cd.analysis.texts import Texts
    from engine.judges.judge import Backend

_FEWEST = 6  # units, of which one at least is for each part
_NAMES = ("A", "B")
_ENDS = 1  # coloured texts of either end of a region that a terminal is shown; the page has all


@dataclass(frozen=True)
class _Opened:
    """All that an analysis is made of, and what stands for it in its key. Nothing is loaded yet."""

    workspace: Workspace
    settings: AnalyseSettings
    cells: Mapping[str, tuple[str, str]]
    texts: Texts
    left_out: int
    embedder: EmbeddingCache
    assistant: Assistant | None
    judge: Backend | None
    inputs: Mapping[str, str]

    @property
    def key(self) -> str:
        return self.settings.key(**self.inputs)

    @property
    def folder(self) -> Path:
        return self.workspace.artifacts / "analyses" / self.key


def run(settings: AnalyseSettings) -> str:
    _check(settings)
    opened = _open(settings)
    path = opened.folder / "analysis.json"
    known = path.is_file()
    record = _read(path) if known else _analyse(opened)
    if not known:
        from engine.cd.analysis.analysis import to_json

        write_whole(path, to_json(record))
        note_artifact(opened.workspace, path, "analyses", opened.key)
    return _shown(opened, record, path, known)


def _check(settings: AnalyseSettings) -> None:
    """What is wrong whatever the texts are."""
    if settings.measure not in MEASURES:
        raise InputError(f"--measure {settings.measure} is no measure; choose one of {', '.join(MEASURES)}.")
    if settings.label_share + settings.select_share >= 1:
        raise InputError(
            f"--label-share {settings.label_share:g} and --select-share {settings.select_share:g} leave no prompts to test on; "
            "make them smaller."
        )
    if settings.max_cluster_size is not None and settings.max_cluster_size < settings.min_cluster_size:
        raise InputError(
            f"--max-cluster-size {settings.max_cluster_size} is below --min-cluster-size {settings.min_cluster_size}; raise it."
        )
    if settings.self_test is not None and settings.other is not None:
        raise InputError(f"--self-test compares one cell with itself; leave out '{settings.other}'.")
    if settings.same_start and (settings.method != "kmeans" or (settings.other is None and settings.self_test is None)):
        raise InputError("--same-start is for k-means of two sets; leave it out, or name a second cell.")
    if settings.generated_texts and settings.assistant is None:
        raise InputError(f"--generated-texts {settings.generated_texts} needs somebody who writes them; name an --assistant.")


def _open(settings: AnalyseSettings) -> _Opened:
    from engine.assistants.assistant import open_assistant
    from engine.judges.judge import open_backend

    workspace = find_workspace()
    keys = read_cells(workspace, [prefix for prefix in (settings.cell, settings.other) if prefix is not None])
    if settings.other is not None and len(keys) < 2:
        raise InputError(f"'{settings.cell}' and '{settings.other}' are one cell, {keys[0]}; name two, or one alone.")
    texts, left_out, hashes = _texts(workspace, keys, settings)
    catalog = cell_records(workspace)
    told = {key: cell_label(catalog[key]) for key in keys}
    cells = {name: (key, told[key]) for name, key in zip(_NAMES, keys, strict=False)}
    if settings.self_test is not None:
        changed = " after 5 % of the words were replaced" if settings.self_test == "planted" else ""
        cells = {"A": (keys[0], f"every other text of {told[keys[0]]}"), "B": (keys[0], f"the other half{changed}")}
    embedder = EmbeddingCache(workspace, open_embedder(settings))
    asked, judging = settings.assistant_settings(), settings.judging()
    assistant = None if asked is None else open_assistant(asked)
    judge = None if judging is None else open_backend(judging, workspace)
    inputs: dict[str, str] = {**hashes, "embedder": embedder.identity}
    if assistant is not None:
        inputs["assistant"] = assistant.identity
    if judge is not None:
        inputs["judge"] = f"{judge.name} {dict(judge.deciding)}"
    return _Opened(workspace, settings, cells, texts, left_out, embedder, assistant, judge, inputs)


def _texts(workspace: Workspace, keys: list[str], settings: AnalyseSettings) -> tuple[Texts, int, dict[str, str]]:
    """The texts, how many were left out, and a hash of each cell's content."""
    from engine.cd.analysis.reading import content_hash, halves, read_set
    from engine.cd.analysis.texts import balanced, deal

    sets = [read_set(workspace, key, of, settings.measure, settings.every) for of, key in enumerate(keys)]
    for key, own in zip(keys, sets, strict=True):
        if not own:
            raise InputError(f"Cell {key} has no texts with numbers; write some with `tiller cd decode`.")
    hashes = {f"cell_{name}": content_hash(key, own) for name, key, own in zip(_NAMES, keys, sets, strict=False)}
    if settings.self_test is not None:
        sets = halves(sets[0], settings.self_test == "planted")
    kept, left_out = balanced(sets)
    if settings.unit == "text" and len(kept) < _FEWEST:
        raise InputError(f"{len(kept)} texts are too few to keep some for tests; write more with --samples.")
    prompts = len({text.prompt_id for text in kept})
    if settings.unit == "prompt" and prompts < _FEWEST:
        raise InputError(
            f"The texts answer {prompts} prompts, too few to keep some for tests; write texts for more prompts, or take each "
            "text for itself with --unit text."
        )
    shares = (settings.label_share, settings.select_share)
    return deal(_NAMES[: len(sets)], kept, settings.unit, settings.permute, *shares, settings.seed), left_out, hashes


def _analyse(opened: _Opened) -> AnalysisRecord:
    from engine.assistants.raw_replies import RawReplies
    from engine.cd.analysis.analysis import AnalysisRecord, analyse, counts
    from engine.cd.analysis.findings import Trial
    from engine.cd.analysis.labels import AssistantLabeller, TermLabeller
    from engine.cd.analysis.scorers import JudgeScorer, TermScorer
    from engine.store import Segment, writer_name

    settings, texts = opened.settings, opened.texts
    if opened.left_out:
        notice(f"{opened.left_out} texts are left out: both sets are compared with as many texts of each prompt.")
    embeddings = opened.embedder.embed([text.text for text in texts.all])
    replies_folder = opened.folder / "replies"
    with Segment(replies_folder, writer_name()) as segment:
        replies = None if opened.assistant is None else RawReplies(replies_folder, opened.assistant, segment)
        labeller = (
            TermLabeller(settings.term_length, 2 if settings.unit == "prompt" else 1)
            if replies is None
            else AssistantLabeller(
                replies.ask, settings.shown_texts, settings.assistant_max_tokens, settings.assistant_temperature, settings.seed
            )
        )
        scorer = TermScorer() if opened.judge is None else JudgeScorer(opened.judge)
        found = analyse(Trial(texts, labeller, scorer, settings), embeddings)
        generated = ()
        if replies is not None and settings.generated_texts:
            from engine.cd.analysis.generated_texts import generative_checks

            generated = generative_checks(opened.workspace, opened.cells, found.findings, replies.ask, settings)
    record_settings: dict[str, Any] = settings.record()
    return AnalysisRecord(
        opened.key, dict(opened.cells), record_settings, dict(opened.inputs), counts(texts),
        len({text.prompt_id for text in texts.all}), opened.left_out, settings.alpha, tuple(found.regions),
        tuple(found.findings), tuple(found.skipped), tuple(generated), tuple(found.placed),
    )  # fmt: skip


def _read(path: Path) -> AnalysisRecord:
    from engine.cd.analysis.analysis import from_json

    try:
        return from_json(path.read_bytes())
    except ValueError as error:
        raise EngineError(f"{path} is no analysis of this version; move it away and run the same command again.") from error


def _shown(opened: _Opened, record: AnalysisRecord, path: Path, known: bool) -> str:
    """The report on the screen, the pictures and tables as files, and the summary line."""
    from engine.cd.analysis.coloured import coloured_ends
    from engine.cd.analysis.html_report import analysis_page
    from engine.cd.analysis.pictures import pictures
    from engine.cd.analysis.report import conclusions, opening, summary
    from engine.plots import save_picture, screen

    workspace = opened.workspace
    width, color = screen()
    print(f"{opening(record, width)}\n")
    drawn: dict[str, bytes] = {}
    for name, picture in pictures(record).items():
        saved = save_picture(workspace, f"analysis-{name}", record.key, picture)
        drawn[name] = saved.with_suffix(".svg").read_bytes()
    if opened.settings.shown and opened.settings.self_test is None:
        for view in coloured_ends(workspace, record, _ENDS).values():
            print(f"{view.text(width, color)}\n")
        for name, view in coloured_ends(workspace, record).items():
            save_picture(workspace, f"analysis-texts-{name}", record.key, view)
    print(f"{conclusions(record, width)}\n")
    shown = path
    if opened.settings.html:
        shown = opened.folder / "analysis.html"
        write_whole(shown, analysis_page(record, drawn).encode())
        note_artifact(workspace, shown, "analyses", record.key)
    what = " against ".join(dict.fromkeys(key for key, _ in record.cells.values()))
    return f"analyse {what}{', already there' if known else ''}: {summary(record)} → {workspace.relative(shown)}"
