"""`tiller data make contrast`: pairs of a behaviour, laid out for `tiller steer --dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from engine.data_making import contrast, session, wording
from engine.data_making.contrast import Contrast
from engine.data_making.made_set import json_file
from engine.data_making.settings import ContrastSettings
from engine.data_making.splits import SPLITS, divided, tell_empty


def run(settings: ContrastSettings) -> str:
    asking = settings.requests()

    def files(items: Sequence[Contrast]) -> tuple[dict[str, bytes], dict[str, Any], str]:
        parts = divided(items, lambda item: item.question, settings.validation, settings.test)
        made = contrast.files(settings.behavior, parts, settings.seed)
        about = {
            "splits": {split: len(parts[split]) for split in SPLITS},
            "letters": {name: _letters(records) for name, records in made.items() if _lettered(records)},
            "mean_characters": {
                "matching": round(mean(len(item.matching) for item in items), 1),
                "not_matching": round(mean(len(item.not_matching) for item in items), 1),
            },
        }
        tell_empty(parts, {"validation": settings.validation, "test": settings.test})
        counts = ", ".join(f"{len(parts[split])} {split}" for split in SPLITS)
        summary = f"{counts} (steer with --hold-out {len(parts['validation'])})"
        return {name: json_file(records) for name, records in made.items() if records}, about, summary

    plan = session.Plan(
        kind="contrast",
        name=settings.behavior,
        folder="datasets/made",
        paths=tuple(contrast.files(settings.behavior, {split: [] for split in SPLITS}, 0)),
        asking=asking,
        wording=lambda _, topics, style, shown: wording.contrast(asking, topics, style, shown),
        schema=wording.schema(contrast.FIELDS),
        read=lambda record, _: contrast.read(record, asking.form),
        text=lambda item: item.question,
        files=files,
    )
    return session.run(plan, settings)


def _lettered(records: Sequence[dict[str, str]]) -> bool:
    return bool(records) and records[0].get("answer_matching_behavior") in ("(A)", "(B)")


def _letters(records: Sequence[dict[str, str]]) -> dict[str, int]:
    answers = [record["answer_matching_behavior"] for record in records]
    return {letter: answers.count(f"({letter})") for letter in "AB"}
