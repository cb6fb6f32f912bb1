"""What stands for the texts of a set in an analysis's key."""

from __future__ import annotations

from dataclasses import replace

from engine.cd.analysis.reading import content_hash
from engine.cd.analysis.texts import AnalysedText

TEXTS = {"p1": [AnalysedText(f"id{n}", "p1", "Why?", n, f"because of {n}", 0.1, 0.2, 0) for n in range(3)]}


def test_other_texts_under_the_same_ids_are_another_set():
    """A forced re-run keeps ids: an analysis of the texts before must not pass for one of those now."""
    changed = {"p1": [*TEXTS["p1"][:2], replace(TEXTS["p1"][2], text="because of nothing")]}
    assert content_hash("cell", changed) != content_hash("cell", TEXTS)
    assert content_hash("cell", {"p1": TEXTS["p1"][:2]}) != content_hash("cell", TEXTS)
    assert content_hash("other", TEXTS) != content_hash("cell", TEXTS)
    assert content_hash("cell", {"p1": [replace(text, of=1) for text in TEXTS["p1"]]}) == content_hash("cell", TEXTS)
