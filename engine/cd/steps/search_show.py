"""`tiller cd search show`: the bank of a search as tables and as a curve over cycles."""

from __future__ import annotations

from engine.cd.decoding.numbers import MEASURES
from engine.cd.search.records import bank_of, find_search, read_attempts, search_folder
from engine.cd.search.results import in_order, picture, supposed, table_text, tables
from engine.cd.search.settings import SearchShowSettings
from engine.plots import save_picture, show
from engine.store import read_catalog
from engine.workspace import find_workspace


def run(settings: SearchShowSettings) -> str:
    workspace = find_workspace()
    key = find_search(workspace, settings.search)
    attempts = read_attempts(search_folder(workspace, key))
    entries = bank_of(attempts)
    if settings.csv:
        return table_text(in_order(entries, settings.sort), ",").rstrip("\n")
    print(tables(entries, settings.sort, settings.top))
    if said := supposed(attempts):
        print(f"\n{said}")
    told = f"search show {key}: {len(entries)} prompts"
    if not entries:
        return told
    record = read_catalog(workspace, "cells").get(key, {})
    measure = record.get("settings", {}).get("measure", "divergence")
    drawn = picture(attempts, MEASURES.get(measure, measure))
    path = save_picture(workspace, "search", key, drawn)
    show(drawn)
    return f"{told} → {workspace.relative(path)}"
