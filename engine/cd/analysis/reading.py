"""The texts of a cell for an analysis, with the mean of one measure; and what stands for a cell's content in keys. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from engine.cd.analysis.texts import AnalysedText
from engine.cd.records import read_means
from engine.settings import canonical_json
from engine.store import text_hash
from engine.workspace import Workspace

_LOG_RATIO = "log_ratio"


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


def content_hash(cell: str, texts: Mapping[str, Sequence[AnalysedText]]) -> str:
    """16 hex of the cell's key and all of its texts."""
    listed = [[text.id, text_hash(text.text)] for prompt in sorted(texts) for text in texts[prompt]]
    return hashlib.sha256(canonical_json([cell, listed]).encode()).hexdigest()[:16]
