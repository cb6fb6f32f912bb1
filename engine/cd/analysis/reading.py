"""The texts of a cell for an analysis: read with the mean of one measure, halved for a self-test, hashed for keys. No torch."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.cd.analysis.texts import AnalysedText
from engine.cd.texts.records import read_means
from engine.settings import canonical_json
from engine.store import text_hash
from engine.workspace import Workspace

_LOG_RATIO = "log_ratio"
_PLANTED, _UNTOUCHED = 0.05, 2


def read_set(workspace: Workspace, cell: str, of: int, measure: str, every: int) -> dict[str, list[AnalysedText]]:
    """{prompt id: its texts, sample by sample}. every: of each prompt only every so-manieth text."""
    means = read_means(workspace, cell)
    found: dict[str, list[AnalysedText]] = {}
    for place, prompt_id in enumerate(means.prompt_ids):
        text = AnalysedText(
            means.ids[place], prompt_id, means.prompts[place], int(means.samples[place]), means.texts[place],
            float(means.means[measure][place]), float(means.means[_LOG_RATIO][place]), of,
        )  # fmt: skip
        found.setdefault(prompt_id, []).append(text)
    return {prompt: texts[::every] for prompt, texts in found.items()}


def halves(texts: Mapping[str, Sequence[AnalysedText]], planted: bool) -> list[dict[str, list[AnalysedText]]]:
    """The texts of a set as two: every second one of a prompt is of the other. planted: a share of that one's words, but for
    the first two, becomes a word that is in no text (§6.4, `compare_to_self`)."""
    halved = [{prompt: [replace(text, of=of) for text in own[of::2]] for prompt, own in texts.items()} for of in (0, 1)]
    if planted:
        words = {word for own in texts.values() for text in own for word in text.text.lower().split()}
        dummy = next(name for number in range(len(words) + 1) if (name := f"dummy{number or ''}") not in words)
        halved[1] = {prompt: [_with(dummy, text) for text in own] for prompt, own in halved[1].items()}
    return [{prompt: own for prompt, own in half.items() if own} for half in halved]


def _with(dummy: str, text: AnalysedText) -> AnalysedText:
    draw = random.Random(text.id)
    words = text.text.split(" ")
    planted = [dummy if place >= _UNTOUCHED and draw.random() < _PLANTED else word for place, word in enumerate(words)]
    return replace(text, text=" ".join(planted))


def content_hash(cell: str, texts: Mapping[str, Sequence[AnalysedText]]) -> str:
    """16 hex of the cell's key and all of its texts."""
    listed = [[text.id, text_hash(text.text)] for prompt in sorted(texts) for text in texts[prompt]]
    return hashlib.sha256(canonical_json([cell, listed]).encode()).hexdigest()[:16]
