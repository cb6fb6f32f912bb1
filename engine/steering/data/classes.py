"""Labelled classes of chats, each contrasted with all the others: `generate/<behavior>/classes.json`.

A record is {"class", "question"} and, where the chat is to be read at the end of an answer, "answer". The behaviour of a
vector is `<behavior>.<class>`.
"""

from __future__ import annotations

from pathlib import Path

from engine.data import Contrast, Example, Message
from engine.errors import InputError
from engine.steering.data.rows import read_records, text_of

FILE = "classes.json"


def find(root: Path, behavior: str) -> tuple[str, str] | None:
    """`<behavior>.<class>` → (behavior, class), where there is such a file; either name may have dots of its own."""
    parts = behavior.split(".")
    splits = [(".".join(parts[:i]), ".".join(parts[i:])) for i in range(1, len(parts))]
    return next(((name, one) for name, one in splits if one and (root / "generate" / name / FILE).is_file()), None)


def known(root: Path) -> list[str]:
    """Every `<behavior>.<class>` of the data set."""
    return [
        f"{path.parent.name}.{name}"
        for path in sorted(root.glob(f"generate/*/{FILE}"))
        for name in dict.fromkeys(text_of(record, "class", path, row) for row, record in read_records(path))
    ]


def contrast(path: Path, target: str) -> Contrast:
    classes: dict[str, list[Example]] = {}
    for row, record in read_records(path):
        name, question = (text_of(record, field, path, row) for field in ("class", "question"))
        answer = (Message("assistant", text_of(record, "answer", path, row)),) if "answer" in record else ()
        classes.setdefault(name, []).append(Example(f"{path.stem}-{row:04}", (Message("user", question), *answer)))
    if target not in classes:
        raise InputError(f"{path} has no class '{target}'; it has {', '.join(classes)}.")
    if len(classes) < 2:
        raise InputError(f"{path} has only the class '{target}'; a contrast needs another one.")
    return Contrast({name: tuple(examples) for name, examples in classes.items()}, target)
