"""`tiller data make phrases`: phrases for the thesaurus, one JSON line each; requests take turns between the roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from engine.data_making import phrases, session, wording
from engine.data_making.made_set import json_lines
from engine.data_making.phrases import Phrase
from engine.data_making.settings import PhrasesSettings, Role


def run(settings: PhrasesSettings) -> str:
    asking = settings.requests()
    path = f"{settings.name}.jsonl"

    def role(number: int) -> Role:
        return settings.roles[number % len(settings.roles)]

    def files(items: Sequence[Phrase]) -> tuple[dict[str, bytes], dict[str, Any], str]:
        roles = Counter(item.role for item in items)
        summary = ", ".join(f"{roles[one]} {one}" for one in settings.roles)
        return {path: json_lines([asdict(item) for item in items])}, {"roles": dict(roles)}, summary

    plan = session.Plan(
        kind="phrases",
        name=settings.name,
        folder="datasets/phrases",
        paths=(path,),
        asking=asking,
        wording=lambda number, topics, _, shown: wording.phrases(asking, role(number), topics, shown),
        schema=wording.schema(phrases.FIELDS),
        read=lambda record, number: phrases.read(record, role(number), settings.stem),
        text=lambda item: item.id,
        files=files,
        groups=settings.roles,
        group=lambda item: item.role,
    )
    return session.run(plan, settings)
