"""`tiller cd score`: measure texts from elsewhere with two models."""

from __future__ import annotations

from engine.cd.prompts.asked import asked_prompt
from engine.cd.prompts.files import is_text
from engine.cd.prompts.score_files import read_texts_file
from engine.cd.score_settings import ScoreSettings
from engine.cd.texts.cells import cell_label, check_name, name_cell
from engine.cd.texts.scorer import ExternalText, open_scorer
from engine.cd.views.coloring import Look
from engine.cd.views.tables import chosen, counted, picture, summary
from engine.cd.views.vocabulary import read_vocabulary
from engine.errors import InputError
from engine.plots.picture import show
from engine.store import read_catalog


def run(settings: ScoreSettings) -> str:
    check_name(settings.name)
    scorer = open_scorer(settings)
    texts = list(dict.fromkeys(_texts(settings)))
    scored = scorer.scored(texts)
    name_cell(scorer.workspace, settings.name, scorer.key)
    if settings.show:
        record = read_catalog(scorer.workspace, "cells")[scorer.key]
        members = (settings.starting, settings.comparison)
        look = Look(cell_label(record), "kl", "generated", members, read_vocabulary(scorer.workspace, record))
        show(picture(chosen(scored, "kl", "generated", "text", None), look, "text"))
    made = counted(len(texts), "text") + ("" if scorer.added else ", already there")
    return f"score: cell {scorer.key}, {made}; {summary(scored)}"


def _texts(settings: ScoreSettings) -> list[ExternalText]:
    """Those of the command line, then the file's."""
    if settings.file is None and not settings.text:
        raise InputError("Nothing is to be scored; give a file of texts, or --text.")
    if settings.file is None and (settings.column or settings.prompt_column):
        raise InputError("--column and --prompt-column say where the texts of a file stand; give the file, or leave them out.")
    blank = next((text for text in settings.text if not text.strip()), None)
    if blank is not None:
        raise InputError(f"--text {blank!r} is blank; leave it out.")
    given = settings.prompt or ""
    if not all(map(is_text, (given, *settings.text))):
        raise InputError("A --text or --prompt is not UTF-8 text; set the terminal to UTF-8, or give the texts in a file.")
    texts = [ExternalText(asked_prompt(given), text) for text in settings.text]
    if settings.file is not None:
        found = read_texts_file(settings.file, settings.column, settings.prompt_column)
        texts += [ExternalText(asked_prompt(one.prompt or given), one.text) for one in found]
    return texts[: settings.limit]
