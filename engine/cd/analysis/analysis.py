"""One whole analysis: texts and their embeddings → regions, findings with corrected p-values, and the record of all that.

Owns the order of things and the record's form. Who embeds, writes and judges is given; files are the step's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from engine.cd.analysis.clusters import OUTSIDE, Vectors, plane
from engine.cd.analysis.comparisons import of_one_set, of_two_sets
from engine.cd.analysis.findings import Finding, Skipped, Trial, corrected
from engine.cd.analysis.generative import Generated
from engine.cd.analysis.regions import Region, find_regions
from engine.cd.analysis.texts import PARTS, Texts
from engine.progress import Progress


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A text on the map. divergence: None where it has no tokens. region: of `regions`, None outside all."""

    id: str
    of: int
    prompt_id: str
    prompt: str
    text: str
    divergence: float | None
    part: str
    region: int | None
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class AnalysisRecord:
    """All that came out. cells: set → its key and what it is. counts: set → part → texts. generated: validated statements that
    the generative check was made of."""

    key: str
    cells: Mapping[str, tuple[str, str]]
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    counts: Mapping[str, Mapping[str, int]]
    prompts: int
    left_out: int
    alpha: float
    regions: tuple[Region, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    generated: tuple[Generated, ...]
    texts: tuple[PlacedText, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    regions: list[Region]
    findings: list[Finding]
    skipped: list[Skipped]
    placed: list[PlacedText]


def analyse(trial: Trial, embeddings: Vectors) -> Analysis:
    """Everything but the generative check. embeddings: [texts, width]."""
    texts, settings = trial.texts, trial.settings
    regions, dealt = find_regions(texts, embeddings, settings, settings.seed, settings.shown)
    names = [region.name for region in regions]
    faults = {at: region.reason for at, region in enumerate(regions) if region.reason is not None}
    comparisons = of_two_sets(texts, dealt, names) if texts.paired else of_one_set(texts, dealt, names)
    findings: list[Finding] = []
    skipped = [Skipped(names[at], at, reason) for at, reason in faults.items()]
    asked = [comparison for comparison in comparisons if comparison.region not in faults]
    shares = [at for at in range(len(regions)) if at not in faults and not (dealt == at).all()] if texts.paired else []
    with Progress("comparisons", len(asked) + len(shares)) as progress:
        for comparison in asked:
            found = trial.labels(comparison)
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                findings += found
            progress.advance()
        for at in shares:
            share = trial.share(at, names[at], dealt)
            (skipped if isinstance(share, Skipped) else findings).append(share)  # pyright: ignore[reportArgumentType]
            progress.advance()
    places = plane(embeddings, settings.seed, settings.map)
    placed = [
        PlacedText(
            text.id, text.of, text.prompt_id, text.prompt, text.text,
            text.divergence if np.isfinite(text.divergence) else None, str(part),
            None if region == OUTSIDE else int(region), float(x), float(y),
        )
        for text, part, region, (x, y) in zip(texts.all, texts.parts, dealt, places, strict=True)
    ]  # fmt: skip
    return Analysis(regions, corrected(findings), skipped, placed)


def counts(texts: Texts) -> dict[str, dict[str, int]]:
    """Set → part → texts."""
    found = Counter((texts.names[text.of], str(part)) for text, part in zip(texts.all, texts.parts, strict=True))
    return {name: {part: found[name, part] for part in PARTS} for name in texts.names}


_RECORD = TypeAdapter(AnalysisRecord)


def to_json(record: AnalysisRecord) -> bytes:
    return _RECORD.dump_json(record, indent=1) + b"\n"


def from_json(content: bytes) -> AnalysisRecord:
    """ValueError where it is no record of this version."""
    return _RECORD.validate_json(content)
