"""Where the steering steps get their pairs, items and prompts: the demo's own, or a folder in the layout of the CAA data sets.

Owns reading and checking files. Everything is validated here, so later code trusts it. No torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from engine.data import ABItem, Contrast, Example, Message, Prompt, data_hash
from engine.errors import InputError
from engine.progress import notice
from engine.steering.settings import Asked, ContrastKind

CAA_FILES = ("generate/<behavior>/generate_dataset.json", "test/<behavior>/test_dataset_ab.json")


@dataclass(frozen=True, slots=True)
class Questions:
    """What a steered model is asked. Either part may be empty."""

    items: tuple[ABItem, ...] = ()
    prompts: tuple[Prompt, ...] = ()

    def first(self, limit: int | None, questions: Collection[Asked] = ("ab", "open")) -> Questions:
        items = self.items[:limit] if "ab" in questions else ()
        prompts = self.prompts[:limit] if "open" in questions else ()
        return Questions(items, prompts)

    def hash(self) -> str:
        return data_hash((*self.items, *self.prompts))


@dataclass(frozen=True, slots=True)
class SteeringData:
    """One behaviour's data: a contrast for the vectors, validation to choose a layer on, test to report."""

    contrast: Contrast
    validation: Questions
    test: Questions

    def vectors_hash(self) -> str:
        validation = data_hash((*self.validation.items, *self.validation.prompts))
        return hashlib.sha256(f"{self.contrast.hash()} {validation}".encode()).hexdigest()[:16]


def load_data(dataset: str, behavior: str, contrast: ContrastKind | None, hold_out: int) -> SteeringData:
    """The data of one behaviour; the error names what is unknown or malformed, where, and what there is."""
    if dataset == "demo":
        return _demo_data(behavior, contrast or "prompts")
    root = Path(dataset).expanduser()
    if not root.is_dir():
        raise InputError(f"Data set {dataset} is neither 'demo' nor a folder; give a folder with {' and '.join(CAA_FILES)}.")
    return _caa_data(root, behavior, hold_out)


def _demo_data(behavior: str, contrast: ContrastKind) -> SteeringData:
    from engine.demo import data

    if behavior not in data.BEHAVIORS:
        raise InputError(f"The demo data have no behaviour '{behavior}'; choose one of {', '.join(data.BEHAVIORS)}.")
    if contrast not in ("prompts", "ab"):
        raise InputError(f"The demo data have no contrast '{contrast}'; give --contrast prompts or ab.")
    if contrast == "ab" and behavior not in data.AB_BEHAVIORS:
        raise InputError(
            f"The demo data have no pairs of '{behavior}' that are read at an answer letter; give --contrast prompts."
        )
    pairs = data.contrast_pairs(behavior, "letter" if contrast == "ab" else "prompt")

    def questions(split: Literal["validation", "test"]) -> Questions:
        items = data.ab_items(behavior, split) if behavior in data.AB_BEHAVIORS else []
        return Questions(tuple(items), tuple(data.open_prompts(behavior, split)))

    return SteeringData(Contrast.of_pairs(pairs), questions("validation"), questions("test"))


def _caa_data(root: Path, behavior: str, hold_out: int) -> SteeringData:
    known = sorted(path.parent.name for path in root.glob("generate/*/generate_dataset.json"))
    if behavior not in known:
        raise InputError(f"Data set {root} has no behaviour '{behavior}'; it has {', '.join(known) or 'none'}.")
    items = _ab_items(root / "generate" / behavior / "generate_dataset.json")
    kept = min(hold_out, len(items) - 1)
    training, validation = items[: len(items) - kept], items[len(items) - kept :]
    tests = root / "test" / behavior
    return SteeringData(
        _letters(training),
        Questions(items=tuple(validation)),
        Questions(tuple(_ab_items(tests / "test_dataset_ab.json")), _prompts(tests / "test_dataset_open_ended.json")),
    )


def _ab_items(path: Path) -> list[ABItem]:
    """A/B questions of one file. Items answered with another letter, as (C), have no A/B form: left out, and reported."""
    items, others = [], 0
    for row, record in enumerate(_records(path)):
        question = _text(record, "question", path, row)
        letters = [_text(record, f"answer_{side}_behavior", path, row) for side in ("matching", "not_matching")]
        if sorted(letters) == ["(A)", "(B)"]:
            matching = cast(Literal["A", "B"], letters[0][1])
            items.append(ABItem(f"{path.stem}-{row:04}", (Message("user", question),), matching))
        else:
            others += 1
    if others:
        notice(f"{path}: {others} of {others + len(items)} items are not answered (A) or (B) and were left out")
    if not items:
        raise InputError(f"{path} has no A/B items; it needs records whose two answers are (A) and (B).")
    return items


def _letters(items: Sequence[ABItem]) -> Contrast:
    """Every question with either letter, read at the letter (CAA §1.5)."""
    sides: dict[str, list[Example]] = {"positive": [], "negative": []}
    for item in items:
        other = "B" if item.matching == "A" else "A"
        for side, letter in (("positive", item.matching), ("negative", other)):
            sides[side].append(Example(item.id, (*item.chat, Message("assistant", f"({letter}")), item))
    return Contrast({side: tuple(examples) for side, examples in sides.items()}, "positive")


def _prompts(path: Path) -> tuple[Prompt, ...]:
    if not path.is_file():
        return ()
    questions = (_text(record, "question", path, row) for row, record in enumerate(_records(path)))
    return tuple(Prompt(f"{path.stem}-{row:04}", (Message("user", text),)) for row, text in enumerate(questions))


def _records(path: Path) -> Sequence[Any]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); a CAA-form data set needs it.") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); it must be a list of records.") from error
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} holds no list of records; it must be a JSON list with at least one.")
    return records


def _text(record: Any, field: str, path: Path, row: int) -> str:
    value = record.get(field) if isinstance(record, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}, record {row}: the field '{field}' is missing or no text; give every record one.")
    return value
