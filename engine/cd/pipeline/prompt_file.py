"""A file of prompts, one JSON record a line: read, changed, written whole.

Owns the record {id, text, tags, source, added}, that texts are there once and ids for ever, and that two commands at once lose
nothing. Fields that it does not know stay as they are. `tiller cd decode --prompts FILE` reads such files.
"""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from engine.atomic import write_whole, writing
from engine.cd.prompts.asked import asked_prompt
from engine.data_making.duplicates import normalised
from engine.errors import InputError
from engine.workspace import Workspace

_FIELDS = ("id", "text", "tags", "source", "added")


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """added: the day, as YYYY-MM-DD. other: what else the record holds."""

    id: str
    text: str
    tags: tuple[str, ...] = ()
    source: str = ""
    added: str = ""
    other: dict[str, Any] = field(default_factory=lambda: {})

    def record(self) -> dict[str, Any]:
        own = {"id": self.id, "text": self.text, "tags": list(self.tags), "source": self.source, "added": self.added}
        return own | self.other


class PromptFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, workspace: Workspace, name: str) -> PromptFile:
        """A path from the workspace's folder, or an absolute one."""
        return cls(workspace.root / Path(name).expanduser())

    def read(self) -> list[StoredPrompt]:
        """In the order of the file; none where there is no file. Broken lines are refused by number."""
        if not self.path.exists():
            return []
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path} cannot be read ({error}); make it UTF-8 text, one JSON record a line.") from error
        prompts: list[StoredPrompt] = []
        ids: dict[str, int] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            prompt = _parsed(line, f"{self.path}, line {number}")
            if prompt.id in ids:
                raise InputError(
                    f"{self.path}, line {number} has the id {prompt.id} of line {ids[prompt.id]}; give one of them another id."
                )
            ids[prompt.id] = number
            prompts.append(prompt)
        return prompts

    def must_read(self) -> list[StoredPrompt]:
        """The prompts, where the file has to be there."""
        if not self.path.exists():
            raise InputError(f"{self.path} is not there; add prompts with `tiller cd prompts add`, or name another --file.")
        return self.read()

    def add(self, texts: Sequence[str], tags: Sequence[str], source: str) -> list[StoredPrompt]:
        """All of them, or none: a text that is there, or comes twice, is refused."""
        with self._changing() as prompts:
            known = {prompt.text: prompt.id for prompt in prompts}
            for text in map(checked, texts):
                if text in known:
                    raise InputError(f"The prompt '{_short(text)}' is there already, as {known[text]}; leave it out.")
                known[text] = unused_id(text, {prompt.id for prompt in prompts})
                prompts.append(StoredPrompt(known[text], text, tuple(dict.fromkeys(tags)), source, time.strftime("%Y-%m-%d")))
            return prompts[-len(texts) :]

    def edit(self, name: str, text: str | None, tags: Sequence[str] | None) -> tuple[StoredPrompt, StoredPrompt]:
        """Before and after. None: as it is."""
        with self._changing() as prompts:
            place = find(prompts, name)
            before = prompts[place]
            after = before
            if text is not None:
                twin = next((one for one in prompts if one.text == checked(text) and one is not before), None)
                if twin is not None:
                    raise InputError(f"The prompt '{_short(text)}' is there already, as {twin.id}; delete one of the two.")
                after = replace(after, text=checked(text))
            if tags is not None:
                after = replace(after, tags=tuple(dict.fromkeys(tags)))
            prompts[place] = after
            return before, after

    def delete(self, names: Sequence[str]) -> list[StoredPrompt]:
        """The prompts that are gone. All names are found, or nothing is deleted."""
        with self._changing() as prompts:
            places = sorted({find(prompts, name) for name in names})
            gone = [prompts[place] for place in places]
            prompts[:] = [prompt for place, prompt in enumerate(prompts) if place not in set(places)]
            return gone

    @contextmanager
    def _changing(self) -> Iterator[list[StoredPrompt]]:
        """The prompts to be changed in place, and written whole when the block ends well; others wait for that."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        with writing(lock):
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = lock.open("w")
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            prompts = self.read()
            before = list(prompts)
            yield prompts
            if prompts != before:
                lines = (json.dumps(prompt.record(), ensure_ascii=False) for prompt in prompts)
                write_whole(self.path, "".join(f"{line}\n" for line in lines).encode())


def find(prompts: Sequence[StoredPrompt], name: str) -> int:
    """The place of the prompt whose id begins so; an id that is equal wins."""
    places = [place for place, prompt in enumerate(prompts) if prompt.id == name]
    places = places or [place for place, prompt in enumerate(prompts) if prompt.id.startswith(name)]
    if not places:
        raise InputError(f"No prompt has an id that begins with '{name}'; `tiller cd prompts list` shows them.")
    if len(places) > 1:
        raise InputError(f"'{name}' is the beginning of {len(places)} ids; give more of its letters.")
    return places[0]


def matching(prompts: Sequence[StoredPrompt], what: str, by: str, similarity: float) -> list[StoredPrompt]:
    """by "part": texts that hold it, letter case aside; "regex": in which it is found; "fuzzy": the most alike first."""
    if by == "part":
        return [prompt for prompt in prompts if what.casefold() in prompt.text.casefold()]
    if by == "regex":
        try:
            pattern = re.compile(what)
        except re.error as error:
            raise InputError(f"'{what}' is no regular expression ({error}); mend it, or search --by part.") from error
        return [prompt for prompt in prompts if pattern.search(prompt.text)]
    plain = normalised(what)
    scored = [(fuzz.partial_ratio(plain, normalised(prompt.text)), prompt) for prompt in prompts]
    return [prompt for score, prompt in sorted(scored, key=lambda one: -one[0]) if score >= similarity]


def tagged(prompts: Sequence[StoredPrompt], tags: Sequence[str]) -> list[StoredPrompt]:
    return [prompt for prompt in prompts if not tags or set(tags) & set(prompt.tags)]


def checked(text: str) -> str:
    text = text.strip()
    if not text:
        raise InputError("A prompt without text says nothing; give it some.")
    return text


def unused_id(text: str, taken: set[str]) -> str:
    """By the text; the id of a text that was edited away may be taken."""
    name, number = asked_prompt(text).id, 1
    while (found := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return found


def _parsed(line: str, place: str) -> StoredPrompt:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InputError(f"{place} is not JSON ({error}); mend or remove that line.") from error
    text = record.get("text", record.get("prompt")) if isinstance(record, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{place} has no text under `text` or `prompt`; mend or remove that line.")
    tags = record.get("tags", record.get("topics", []))
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InputError(f"{place}: tags are no list of texts; mend that line.")
    if not all(isinstance(record.get(name, ""), str) for name in ("id", "source", "added")):
        raise InputError(f"{place}: id, source and added are texts; mend that line.")
    other = {name: value for name, value in record.items() if name not in (*_FIELDS, "prompt", "topics")}
    name = record.get("id") or asked_prompt(text).id
    return StoredPrompt(name, text, tuple(tags), record.get("source", ""), record.get("added", ""), other)


def _short(text: str, longest: int = 60) -> str:
    from engine.printable import printable

    shown = printable(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
