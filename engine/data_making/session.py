"""One `tiller data make`, whatever is made: from settings to a set on disk, its provenance and the summary line.

Owns the order of things (what is there, who writes, ask until there is enough, write, say what became of it) and the end of a
command that gave up: what there is is kept, and it exits with 1.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from engine.assistants.assistant import Assistant, RemoteAssistant, open_assistant
from engine.assistants.raw_replies import RawReplies
from engine.data import Message
from engine.data_making.duplicates import Seen
from engine.data_making.earlier import dealt_examples, examples, texts_of
from engine.data_making.made_set import MadeSet
from engine.data_making.making import Item, Recipe, Tally, make
from engine.data_making.settings import KeepingSettings, RequestSettings
from engine.data_making.topics import dealt
from engine.errors import EngineError
from engine.progress import Progress, notice
from engine.remote.types import Request
from engine.settings import canonical_json
from engine.store import Segment, note_artifact, writer_name
from engine.workspace import find_workspace

_PATIENCE = 4  # requests, in multiples of what would do if every item were good

Wording = Callable[[int, Sequence[str], str, Sequence[Any]], str]
"""(request number, topics, style, examples) → the text of the request."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[Item]):
    """What a kind of item brings: its name and place, how it asks and reads, and how items become files.

    `files` returns path → content, and what the provenance and the summary say about the set.
    """

    kind: str
    name: str
    folder: str
    paths: tuple[str, ...]
    asking: RequestSettings
    wording: Wording
    schema: Mapping[str, Any]
    read: Callable[[Any, int], Item]
    text: Callable[[Item], str]
    files: Callable[[Sequence[Item]], tuple[dict[str, bytes], dict[str, Any], str]]
    groups: tuple[str, ...] = ("",)
    group: Callable[[Item], str] = lambda _: ""


def run(plan: Plan[Item], settings: KeepingSettings) -> str:
    workspace = find_workspace()
    shown = examples(plan.asking.examples)
    assistant = open_assistant(plan.asking)
    inputs = {"assistant": assistant.identity, "examples": _hash(shown)}
    asking_key = plan.asking.key(**inputs)
    avoided = sorted(set(texts_of(settings.avoid)))
    key = settings.key(**inputs, avoid=_hash(avoided))
    folder = Path(settings.to).expanduser().resolve() if settings.to else workspace.root / plan.folder
    made = MadeSet(workspace, folder, plan.name, key, plan.paths)
    said = f"make {plan.kind} {plan.name}"
    if found := made.find(settings.overwrite):
        made.note(list(found.get("files", {})))
        return f"{said}: already there, {workspace.relative(made.provenance)}"
    recipe = Recipe(
        lambda number: _request(plan, shown, number), plan.read, plan.text, plan.asking.per_request, plan.groups, plan.group
    )
    would_do = math.ceil(settings.count / plan.asking.per_request)
    most = settings.max_requests or _PATIENCE * would_do + len(plan.groups)
    replies = workspace.artifacts / "making" / asking_key
    with Segment(replies, writer_name()) as segment, Progress(f"{said}: items", settings.count) as progress:
        raw = RawReplies(replies, assistant, segment)
        items, tally = make(recipe, raw.ask, settings.count, most, Seen(settings.similarity, avoided), progress)
    if segment.path is not None:
        note_artifact(workspace, segment.path, "replies", asking_key)
    ended = _ending(tally, settings.count, raw.found)
    if not items:
        raise EngineError(f"{ended}; nothing was written. {_advice(tally)}")
    files, about, summary = plan.files(items)
    made.write(files, _provenance(plan, settings, assistant, tally, raw.found, about), complete=tally.kept == settings.count)
    where = f"{summary} → {workspace.relative(folder)}"
    if tally.kept < settings.count:
        raise EngineError(f"{ended}; what there is was kept: {where}. {_advice(tally)}")
    if tally.dropped:
        notice(f"{said}: dropped {_counts(tally.dropped)}")
    return f"{said}: {ended}; {where}{_cost(assistant)}"


def _request(plan: Plan[Any], shown: Sequence[Any], number: int) -> Request:
    asking = plan.asking
    topics, style = dealt(asking.seed, number, asking.topics)
    text = plan.wording(number, topics, style, dealt_examples(shown, asking.seed, number))
    draw = int.from_bytes(hashlib.sha256(f"{asking.seed} {number}".encode()).digest()[:4], "big") >> 1  # servers take 31 bits
    return Request((Message("user", text),), asking.max_tokens, asking.temperature, draw, plan.schema)


def _provenance(
    plan: Plan[Any], settings: KeepingSettings, assistant: Assistant, tally: Tally, found: int, about: Mapping[str, Any]
) -> dict[str, Any]:
    record = {name: value for name, value in settings.record().items() if name != "overwrite"}
    return {
        "made": plan.kind,
        "step": plan.asking.step,
        "wording": plan.asking.VERSION,
        "assistant": {"name": assistant.name, "identity": assistant.identity},
        "seed": plan.asking.seed,
        "settings": record,
        "counts": {
            "requests": tally.requests,
            "found_from_before": found,
            "failed": tally.failed,
            "records": tally.records,
            "kept": tally.kept,
            "surplus": tally.surplus,
            "dropped": dict(tally.dropped.most_common()),
        },
        "usage": {"prompt_tokens": tally.prompt_tokens, "completion_tokens": tally.completion_tokens},
        **about,
    }


def _ending(tally: Tally, count: int, found: int) -> str:
    asked = f"{tally.requests} requests" + (f", {found} of them answered before" if found else "")
    return f"{tally.kept} of {count} items from {asked}"


def _advice(tally: Tally) -> str:
    if tally.failed == tally.requests and tally.last_error:
        return f"The assistant answered nothing: {tally.last_error.rstrip('.')}."
    reasons = _counts(tally.dropped) if tally.dropped else "nothing"
    failed = f" {tally.failed} requests failed: {(tally.last_error or '').rstrip('.')}." if tally.failed else ""
    return f"Dropped: {reasons}.{failed} Raise --max-requests, or change what is asked for."


def _counts(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items(), key=lambda entry: -entry[1]))


def _cost(assistant: Assistant) -> str:
    if not isinstance(assistant, RemoteAssistant) or not assistant.usage.cost:
        return ""
    return f"; {assistant.usage.cost:.4f} spent"


def _hash(records: Sequence[Any]) -> str:
    return hashlib.sha256(canonical_json(records).encode()).hexdigest()[:16]
