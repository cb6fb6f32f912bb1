"""Does a prompt with its response meet the user's criterion? A yes or no of the assistant, or of a judge by a rubric (§4.4).

Owns the question and how its reply is read: by whole words, so that "not" is no "no", and both words at once are no answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from engine.assistants.raw_replies import answered
from engine.cd.search.wording import Wording
from engine.data import Message
from engine.errors import EngineError
from engine.judges.verdict import FAILED, UNPARSED, Subject, why_failed
from engine.progress import notice
from engine.remote.types import Reply, Request

if TYPE_CHECKING:
    from engine.judges.judge import Judge

Read = Literal["yes", "no", "unread"]
Ask = Callable[[Sequence[Request]], list[Reply]]
Exchange = tuple[str, str]
"""A prompt and the response to it."""
_LONGEST = 20  # tokens of a verdict


class Criterion(Protocol):
    def scores(self, exchanges: Sequence[Exchange]) -> list[float]:
        """For each 1 where it is met, else 0 (a rubric's own value where it has a scale)."""
        ...


def read_verdict(reply: str, yes: Sequence[str] = ("yes",), no: Sequence[str] = ("no",)) -> Read:
    """The first of these words in a reply decides. "yes/no" and "yes or no" repeat the question and decide nothing."""
    either = "|".join(re.escape(word.lower()) for word in (*yes, *no))
    words = list(re.finditer(rf"(?<!\w)(?:{either})(?!\w)", reply.lower()))
    if not words:
        return "unread"
    if len(words) > 1 and re.fullmatch(r"\W*(?:/|\bor\b)\W*", reply.lower()[words[0].end() : words[1].start()]):
        return "unread"
    return "yes" if words[0][0] in {word.lower() for word in yes} else "no"


@dataclass(frozen=True, slots=True)
class AskedCriterion:
    """The assistant is shown the criterion, examples of it, and one exchange at a time."""

    wording: Wording
    ask: Ask

    def scores(self, exchanges: Sequence[Exchange]) -> list[float]:
        replies = answered(self.ask([self.request(*exchange) for exchange in exchanges]))
        verdicts = [read_verdict(reply.text or "", self.wording.yes, self.wording.no) for reply in replies]
        if unread := verdicts.count("unread"):
            notice(f"search: {unread} of {len(verdicts)} verdicts of the assistant say neither yes nor no; they count as no")
        return [float(verdict == "yes") for verdict in verdicts]

    def request(self, prompt: str, response: str) -> Request:
        assert self.wording.criterion is not None
        examples = tuple(Message("user", text) for text in self.wording.criterion_examples)
        asked = Message("user", f"Prompt: {prompt}\nResponse: {response}")
        return Request((Message("system", self.wording.criterion), *examples, asked), _LONGEST)


@dataclass(frozen=True, slots=True)
class JudgedCriterion:
    """Any judge, by any rubric about one answer."""

    judge: Judge

    def scores(self, exchanges: Sequence[Exchange]) -> list[float]:
        values, labels = [0.0] * len(exchanges), Counter[str]()
        for index, verdict in self.judge.verdicts([Subject(prompt, (response,)) for prompt, response in exchanges]):
            if verdict.label == FAILED:
                raise EngineError(
                    f"{self.judge.name} gave no verdict ({why_failed(verdict.raw)}); mend that and run the same command again, "
                    "it goes on from the last whole cycle."
                )
            labels[verdict.label] += 1
            values[index] = verdict.value or 0.0
        if labels[UNPARSED]:
            notice(f"search: {labels[UNPARSED]} of {len(exchanges)} verdicts of {self.judge.name} are unread; they count as 0")
        return values
