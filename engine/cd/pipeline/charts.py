"""The charts of a report: divergence over cycles, hypotheses with their effects, topics, scores against divergence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.cd.decoding.numbers import MEASURES
from engine.cd.pipeline.report import STATUSES, Report, by_strength, held_out
from engine.plots import Curve, CurvePicture, Panel, Picture, Point, ScatterGroup, ScatterPanel, ScatterPicture
from engine.plots.estimates import Estimate, EstimatePicture
from engine.statistics import mean_of

_BANDS = "bands: 95 % over prompts"


def charts(report: Report) -> dict[str, Picture]:
    """Name → picture, of whatever there is something to draw of."""
    measured = [one for one in report["prompts"] if one["divergence"] is not None]
    found: dict[str, Picture] = {}
    tested = [(one, test) for one in by_strength(report) if (test := held_out(one))]
    if tested:
        found["hypotheses"] = EstimatePicture(
            "Hypotheses on held-out prompts",
            "effect in the expected direction: Cohen's h, or rank-biserial correlation",
            f"95 % intervals; the dashed line is the smallest effect that counts, {report['settings']['smallest_effect']:g}",
            tuple(_estimate(one, test) for one, test in tested),
            tuple(STATUSES),
            (report["settings"]["smallest_effect"],),
        )
    if measured:
        found["trend"] = CurvePicture((_trend(report, measured),))
        found["cycles"] = ScatterPicture((_cycles(report, measured),))
    if report["topics"] is not None:
        topics = report["settings"]["topics"]
        relevant = [one for one in report["prompts"] if one["relevance"] is not None]
        if relevant:
            found["topics"] = _topics(report, relevant)
        if both := [one for one in measured if one["relevance"] is not None]:
            groups = tuple(
                ScatterGroup(
                    topic,
                    tuple((one["relevance"][place], one["divergence"]) for one in both),
                    place,
                    place,
                    tuple(one["text"] for one in both),
                )
                for place, topic in enumerate(topics)
            )
            found["scores"] = ScatterPicture(
                (ScatterPanel("Topic relevance and divergence of prompts", "relevance", _measure(report), groups),)
            )
    return found


def _estimate(one: Mapping[str, Any], test: Mapping[str, Any]) -> Estimate:
    told = f"p {test['p']:.2g}, adjusted {one['p_adjusted']:.2g}"
    return Estimate(f"{one['id']} {one['text']}", test["effect"], test["low"], test["high"], one["status"], told)


def _trend(report: Report, prompts: list[Mapping[str, Any]]) -> Panel:
    cycles = sorted({one["cycle"] for one in prompts})
    new = {cycle: {one["id"]: [one["divergence"]] for one in prompts if one["cycle"] == cycle} for cycle in cycles}
    so_far = {cycle: {one["id"]: [one["divergence"]] for one in prompts if one["cycle"] <= cycle} for cycle in cycles}
    curves = {"new prompts of the cycle": new, "all prompts so far": so_far}
    return Panel(
        "Divergence over cycles",
        "cycle",
        _measure(report),
        tuple(Curve(name, tuple(_point(cycle, units) for cycle, units in points.items())) for name, points in curves.items()),
        {"prompts": str(len(prompts))},
        _BANDS,
        y_range=None,
        x_name="cycle",
        digits=3,
    )


def _point(cycle: int, units: Mapping[str, list[float]]) -> Point:
    mean = mean_of(units)
    return Point(cycle, mean.mean, mean.low, mean.high, mean.units, mean.observations)


def _cycles(report: Report, prompts: list[Mapping[str, Any]]) -> ScatterPanel:
    sources = list(dict.fromkeys("given" if one["source"] == "given" else "written" for one in prompts))
    groups = tuple(
        ScatterGroup(
            source,
            tuple((one["cycle"], one["divergence"]) for one in prompts if (one["source"] == "given") == (source == "given")),
            place,
            place,
            tuple(one["text"] for one in prompts if (one["source"] == "given") == (source == "given")),
        )
        for place, source in enumerate(sources)
    )
    return ScatterPanel("Divergence of each prompt, by the cycle that found it", "cycle", _measure(report), groups)


def _topics(report: Report, prompts: list[Mapping[str, Any]]) -> EstimatePicture:
    rows = []
    for place, topic in enumerate(report["settings"]["topics"]):
        mean = mean_of({one["id"]: [one["relevance"][place]] for one in prompts}, share=True)
        rows.append(Estimate(topic, mean.mean, mean.low, mean.high, "relevance", f"{mean.units} prompts"))
    note = f"told by {report['topics']['told_by']}; {_BANDS}"
    return EstimatePicture(
        "Relevance of topics", "mean over explored prompts, 0 to 1", note, tuple(rows), ("relevance",), (1.0,)
    )


def _measure(report: Report) -> str:
    return MEASURES[report["settings"]["measure"]]
