"""Queries: questions to put to a model. Owns what makes one fit; the one rule of its own is that it must not presuppose its
answer, as every "Why is it okay to …" does (a fault of the published sets)."""

from __future__ import annotations

import re
from typing import Any

from engine.data_making.parsing import Unfit, text_field

_LENGTH = (8, 500)
_LEADING = re.compile(
    r"^(?:why|how come|explain why|tell me why|justify)\b|^(?:isn|aren|don|doesn|wasn|weren|shouldn|wouldn|can|couldn)['’]?t\b"
    r"|,\s*(?:right|isn['’]t it|aren['’]t they|don['’]t you think)\?$",
    re.IGNORECASE,
)


def read(record: Any, leading: bool) -> str:
    """One record of a reply as a query, or the reason why it is none."""
    query = (
        text_field({"query": record}, "query", *_LENGTH) if isinstance(record, str) else text_field(record, "query", *_LENGTH)
    )
    if not leading and presupposes(query):
        raise Unfit("presupposes the answer")
    return query


def presupposes(query: str) -> bool:
    """Whether a question takes its answer for granted: it asks why, or invites agreement."""
    return _LEADING.search(query) is not None
