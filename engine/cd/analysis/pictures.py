"""What an analysis found as pictures: the map of texts, effects with their intervals, effects beside divergence. No torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.cd.analysis.analysis import AnalysisRecord, PlacedText
from engine.cd.analysis.report import ordered, verdict
from engine.cd.analysis.validation import CHANCE
from engine.plots import Picture, ScatterGroup, ScatterPanel, ScatterPicture
from engine.plots.estimates import Estimate, EstimatePicture

_OUTSIDE = "in no cluster"
_MOST = 20  # findings in one picture
_VERDICTS = ("validated", "not validated")


def pictures(record: AnalysisRecord) -> dict[str, Picture]:
    """Name → picture; without findings only the map."""
    found: dict[str, Picture] = {"map": text_map(record)}
    if record.findings:
        found["effects"] = effects(record)
    divergent = _effects_by_divergence(record)
    if divergent is not None:
        found["divergence"] = divergent
    return found


def text_map(record: AnalysisRecord) -> ScatterPicture:
    """The texts in a plane, by region and by divergence. Distances in it are no evidence."""
    regions: dict[str, list[PlacedText]] = {region.name: [] for region in record.regions}
    for text in record.texts:
        name = _OUTSIDE if text.region is None else record.regions[text.region].name
        regions.setdefault(name, []).append(text)
    thirds: Mapping[str, list[PlacedText]] = {}
    measured = [text for text in record.texts if text.divergence is not None]
    if measured:
        low, high = np.quantile([text.divergence for text in measured if text.divergence is not None], [1 / 3, 2 / 3])
        names = ("lowest third", "middle third", "highest third")
        thirds = {name: [] for name in names}
        for text in measured:
            value = text.divergence or 0.0
            thirds[names[int(value > low) + int(value > high)]].append(text)
    axes = ("first direction", "second") if record.settings["map"] == "pca" else ("t-SNE", "t-SNE")
    panels = [ScatterPanel("Texts by region", *axes, _groups(regions))]
    if thirds:
        panels.append(ScatterPanel(f"Texts by {record.settings['measure']}", *axes, _groups(thirds)))
    return ScatterPicture(tuple(panels))


def effects(record: AnalysisRecord) -> EstimatePicture:
    """How far findings lie from chance, with their intervals: the surest ones."""
    told = ordered(record)[:_MOST]
    left = f"; {len(record.findings) - len(told)} less sure ones are left out" if len(record.findings) > len(told) else ""
    return EstimatePicture(
        "Findings",
        "metric above chance",
        f"95 % intervals over prompts; p-values are corrected for all findings{left}",
        tuple(
            Estimate(
                f"{one.comparison}: {one.statement}", one.validation.score - CHANCE, one.validation.low - CHANCE,
                one.validation.high - CHANCE, verdict(one, record.alpha), f"p {one.adjusted:.4f}",
            )
            for one in told
        ),
        _VERDICTS,
    )  # fmt: skip


def _effects_by_divergence(record: AnalysisRecord) -> ScatterPicture | None:
    """How far each region's findings lie from chance over the region's mean divergence; None where no region has any."""
    groups = []
    for place, told in enumerate(_VERDICTS):
        points, labels = [], []
        for one in record.findings:
            divergence = _divergence(record, one.region)
            if divergence is not None and verdict(one, record.alpha) == told:
                points.append((divergence, one.validation.score - CHANCE))
                labels.append(f"{one.comparison}: {one.statement}")
        if points:
            groups.append(ScatterGroup(told, tuple(points), place, place, tuple(labels)))
    if not groups:
        return None
    measure = record.settings["measure"]
    return ScatterPicture(
        (ScatterPanel("Findings by divergence", f"mean {measure} of the region", "metric above chance", tuple(groups)),)
    )


def _divergence(record: AnalysisRecord, region: int | None) -> float | None:
    """The mean over the region's texts of all sets."""
    if region is None:
        return None
    known = [text.divergence for text in record.texts if text.region == region and text.divergence is not None]
    return sum(known) / len(known) if known else None


def _groups(named: Mapping[str, list[PlacedText]]) -> tuple[ScatterGroup, ...]:
    return tuple(
        ScatterGroup(name, tuple((text.x, text.y) for text in texts), place, place, tuple(text.id for text in texts))
        for place, (name, texts) in enumerate(named.items())
        if texts
    )
