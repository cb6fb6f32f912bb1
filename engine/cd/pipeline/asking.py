"""Asking an assistant for JSON: what it says is kept, read strictly, and asked for once more where it cannot be read.

Owns finding the object in a reply, the one repair, and the count of what was asked. What an object must hold belongs to whoever
asks. A server that does not answer ends the command: nothing is made up in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.assistants.json_object import find_object
from engine.assistants.raw_replies import RawReplies, answered
from engine.cd.pipeline.journal import Budget
from engine.data import Chat, Message
from engine.data_making.parsing import Unfit
from engine.remote.types import Reply, Request

_Read = TypeVar("_Read")
_SHOWN_AGAIN = 4000  # letters of a reply that could not be read


@dataclass(frozen=True, slots=True)
class Question:
    """schema: of the object that is asked for, sent where a server can hold a reply to it."""

    chat: Chat
    schema: Mapping[str, Any]


class Asker:
    """An assistant with a budget. `seed` makes its draws those of this run."""

    def __init__(self, raw: RawReplies, budget: Budget, temperature: float, max_tokens: int, seed: int) -> None:
        self._raw, self._budget = raw, budget
        self._temperature, self._max_tokens, self._seed = temperature, max_tokens, seed

    def read(self, question: Question, read: Callable[[Any], _Read]) -> _Read | None:
        return self.read_all([question], read)[0]

    def read_all(self, questions: Sequence[Question], read: Callable[[Any], _Read]) -> list[_Read | None]:
        """What `read` makes of the object in each reply; None where neither the reply nor its repair could be read."""
        found: list[_Read | None] = [None] * len(questions)
        replies = self.replies([self._request(question.chat, question) for question in questions])
        mends: dict[int, Request] = {}
        for index, (question, reply) in enumerate(zip(questions, replies, strict=True)):
            try:
                found[index] = read(object_in(reply))
            except Unfit as reason:
                mends[index] = self._request((*question.chat, *_complaint(reply, reason)), question, temperature=0.0)
        for index, reply in zip(mends, self.replies(list(mends.values())), strict=True):
            try:
                found[index] = read(object_in(reply))
                self._budget.spent.repaired += 1
            except Unfit:
                self._budget.spent.unread += 1
        return found

    def replies(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """The replies in order, all of them; EngineError where one failed."""
        if not requests:
            return []
        self._budget.ask(len(requests))
        replies = answered(self._raw.ask(requests))
        self._budget.spent.requests += len(replies)
        self._budget.spent.tokens += sum(reply.prompt_tokens + reply.completion_tokens for reply in replies)
        return replies

    def _request(self, chat: Chat, question: Question, temperature: float | None = None) -> Request:
        heat = self._temperature if temperature is None else temperature
        return Request(chat, self._max_tokens, heat, self._seed, question.schema)


def object_in(reply: Reply) -> dict[str, Any]:
    """The JSON object in a reply, whatever stands around it (§8.4)."""
    found = find_object(reply.text or "")
    if found is None:
        cut = reply.finish == "length"
        raise Unfit("the reply was cut off before its JSON ended" if cut else "the reply holds no JSON object")
    return found


def _complaint(reply: Reply, reason: Unfit) -> Chat:
    said = (reply.text or "")[:_SHOWN_AGAIN]
    return (
        Message("assistant", said),
        Message("user", f"That could not be used: {reason}. Reply with the JSON object in the form I asked for, and no more."),
    )
