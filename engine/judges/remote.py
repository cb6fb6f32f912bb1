"""A model behind an OpenAI-compatible server as a judge: asked many at a time, each question once.

Owns the order of things: what was replied before is read again, the rest is asked, and a reply is on disk before it is read. A
process killed at any moment therefore loses only what was in flight. How a server is asked is `engine.remote`'s business, what
is asked and how a reply is read the rubric's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from engine.judges.asking import ask, reply_schema
from engine.judges.parsing import parse
from engine.judges.replies import ReplyKey, StoredReply, append_reply, replies_folder, reply_key, stored_replies
from engine.judges.rubric import Rubric
from engine.judges.verdict import FAILED, Subject, Verdict
from engine.remote.types import Endpoint, Request, Usage
from engine.store import Segment, writer_name
from engine.workspace import Workspace

_BRACES = 16
"""Tokens that a reply in JSON takes beyond the same in words."""


def verdicts(
    workspace: Workspace,
    judge: str,
    endpoint: Endpoint,
    rubric: Rubric,
    subjects: Sequence[Subject],
    *,
    usage: Usage,
    fresh: bool = False,
    temperature: float = 0.0,
    seed: int | None = None,
    max_tokens: int | None = None,
) -> Iterator[tuple[int, Verdict]]:
    """(index, verdict) of every subject, as they come. `judge` names model and settings: it is whose replies are read again.

    Who could not be asked is `failed`, with the reason in `raw`, and is asked anew the next time. fresh: what was replied
    before is asked again, too. max_tokens: of a reply, in place of the rubric's.
    """
    question = rubric.question_fingerprint()
    alike: dict[ReplyKey, list[int]] = {}
    for index, subject in enumerate(subjects):
        alike.setdefault(reply_key(question, subject), []).append(index)

    def read(key: ReplyKey, text: str) -> Iterator[tuple[int, Verdict]]:
        verdict = parse(rubric, subjects[alike[key][0]], text)
        return ((index, verdict) for index in alike[key])

    known: set[ReplyKey] = set()
    for key, stored in stored_replies(workspace, judge, () if fresh else alike.keys()):
        known.add(key)
        yield from read(key, stored.text)
    pending = [key for key in alike if key not in known]
    if not pending:
        return
    from engine.remote.client import replies  # openai, half a second: only when there is something to ask

    schema = reply_schema(rubric) if endpoint.structured != "off" else None
    tokens = (max_tokens or rubric.max_tokens) + (_BRACES if schema else 0)
    requests = (Request(ask(rubric, subjects[alike[key][0]]), tokens, temperature, seed, schema) for key in pending)
    with (
        Segment(replies_folder(workspace, judge), writer_name()) as segment,
        closing(replies(endpoint, requests, usage)) as arriving,
    ):
        for position, reply in arriving:
            key = pending[position]
            if reply.text is None:
                failed = Verdict(None, FAILED, {"error": reply.error})
                yield from ((index, failed) for index in alike[key])
                continue
            append_reply(segment, key, StoredReply(reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens))
            yield from read(key, reply.text)
