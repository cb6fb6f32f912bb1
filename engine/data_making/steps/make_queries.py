"""`tiller data make queries`: questions to put to a model, one JSON list for each split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.data_making import queries, session, wording
from engine.data_making.made_set import json_file
from engine.data_making.settings import QueriesSettings
from engine.data_making.splits import SPLITS, divided, tell_empty


def run(settings: QueriesSettings) -> str:
    asking = settings.requests()

    def files(items: Sequence[str]) -> tuple[dict[str, bytes], dict[str, Any], str]:
        parts = divided(items, str, settings.validation, settings.test)
        tell_empty(parts, {"validation": settings.validation, "test": settings.test})
        about = {"splits": {split: len(parts[split]) for split in SPLITS}}
        summary = ", ".join(f"{len(parts[split])} {split}" for split in SPLITS)
        return {f"{settings.name}/{split}.json": json_file(parts[split]) for split in SPLITS if parts[split]}, about, summary

    plan = session.Plan(
        kind="queries",
        name=settings.name,
        folder="datasets/queries",
        paths=tuple(f"{settings.name}/{split}.json" for split in SPLITS),
        asking=asking,
        wording=lambda _, topics, style, shown: wording.queries(asking, topics, style, shown),
        schema=wording.schema(None),
        read=lambda record, _: queries.read(record, settings.leading),
        text=lambda item: item,
        files=files,
    )
    return session.run(plan, settings)
