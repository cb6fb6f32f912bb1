"""What judges replied, word for word: kept before it is read, so that nothing is asked, waited for and paid for twice.

Owns `artifacts/replies/<judge>/<writer>.jsonl` and a reply's identity: the judge's name (with its settings' hash, given by the
caller), the fingerprint of the rubric's question, the texts' hashes and the order of a pair. It neither asks nor reads
verdicts. A record holds no address, no key and no text but the reply.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import EngineError
from engine.judges.verdict import Subject
from engine.store import Segment, read_segment, segments_of, text_hash
from engine.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ReplyKey:
    """Of which question a judge's reply is the answer."""

    rubric: str
    prompt_sha256: str
    answers_sha256: tuple[str, ...]
    order: str | None


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A judge's reply, as it came, and the tokens that its server counted."""

    text: str
    finish: str | None
    prompt_tokens: int
    completion_tokens: int


def reply_key(question: str, subject: Subject) -> ReplyKey:
    """question: the rubric's `question_fingerprint`."""
    return ReplyKey(question, text_hash(subject.prompt), tuple(map(text_hash, subject.answers)), subject.order)


def replies_folder(workspace: Workspace, judge: str) -> Path:
    return workspace.artifacts / "replies" / judge


def append_reply(segment: Segment, key: ReplyKey, reply: StoredReply) -> None:
    segment.append(asdict(key) | asdict(reply))


def stored_replies(workspace: Workspace, judge: str, keys: Collection[ReplyKey]) -> Iterator[tuple[ReplyKey, StoredReply]]:
    """The replies to these questions that are on disk, as they are read. Of a repeated one only the first: what was once said
    stays said."""
    wanted = set(keys)
    for path in segments_of(replies_folder(workspace, judge)):
        for record in read_segment(path):
            if not wanted:
                return
            try:
                key = ReplyKey(record["rubric"], record["prompt_sha256"], tuple(record["answers_sha256"]), record["order"])
                if key not in wanted:
                    continue
                reply = StoredReply(record["text"], record["finish"], record["prompt_tokens"], record["completion_tokens"])
            except (KeyError, TypeError) as error:
                raise EngineError(
                    f"{path} holds a record that is no reply of this version ({error}); move the file away and run again."
                ) from error
            wanted.discard(key)
            yield key, reply
