"""Whether texts meet a criterion, as a judge says that does not know who wrote them.

Owns asking and reading these verdicts, by the rules of `engine.judges`: the text stands between tags that it cannot close.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.cd.pipeline.asking import Asker
from engine.cd.pipeline.view import Observation
from engine.cd.pipeline.wording import criterion as criterion_rubric
from engine.judges.asking import ask, reply_schema
from engine.judges.parsing import parse
from engine.judges.verdict import Subject
from engine.remote.types import Request

_REPLY = 32  # tokens of a verdict
_BINARY = 0.5


class AskedJudge:
    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def answers(self, criterion: str, texts: Sequence[Observation]) -> list[float | None]:
        """1 for yes, 0 for no, None for a reply that is neither. Equal questions are asked once, and counted once."""
        rubric = criterion_rubric(criterion)
        subjects = {(one.prompt, one.text): Subject(one.prompt, (one.text,)) for one in texts}
        requests = [Request(ask(rubric, subject), _REPLY, 0.0, None, reply_schema(rubric)) for subject in subjects.values()]
        verdicts = {
            key: parse(rubric, subject, reply.text or "").value
            for (key, subject), reply in zip(subjects.items(), self._asker.replies(requests), strict=True)
        }
        values = (verdicts[one.prompt, one.text] for one in texts)
        return [None if value is None else float(value > _BINARY) for value in values]


class NoJudge:
    """Without an assistant nobody proposes a criterion."""

    def answers(self, criterion: str, texts: Sequence[Observation]) -> list[float | None]:
        raise AssertionError(f"a criterion was to be judged with nobody to judge it: {criterion} ({len(texts)} texts)")
