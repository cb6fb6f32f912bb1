"""`tiller cd decode`: write texts with two models and measure where they differ."""

from __future__ import annotations

from engine.cd.prompts.asked import read_prompts
from engine.cd.settings import DecodeSettings
from engine.cd.texts.cells import cell_label, check_name, name_cell
from engine.cd.texts.decoder import open_decoder
from engine.cd.views.coloring import Look
from engine.cd.views.tables import chosen, counted, picture, summary
from engine.cd.views.vocabulary import read_vocabulary
from engine.plots.picture import show
from engine.store import read_catalog


def run(settings: DecodeSettings) -> str:
    check_name(settings.name)
    decoder = open_decoder(settings)
    tokenizer = decoder.source.tokenizer() if settings.prompt_tokens is not None else None
    prompts = read_prompts(settings, tokenizer)
    found = decoder.texts(prompts)
    name_cell(decoder.workspace, settings.name, decoder.key)
    texts = [text for prompt in prompts for text in found[prompt.id]]
    if settings.show:
        record = read_catalog(decoder.workspace, "cells")[decoder.key]
        members = (settings.starting, settings.comparison)
        look = Look(cell_label(record), "kl", "generated", members, read_vocabulary(decoder.workspace, record))
        show(picture(chosen(texts, "kl", "generated", "text", None), look, "text"))
    made = f"{counted(len(texts), 'text')} of {counted(len(prompts), 'prompt')}" + ("" if decoder.added else ", already there")
    return f"decode: cell {decoder.key}, {made}; {summary(texts)}"
