"""A folder in the layout of the CAA data sets: `generate/<behaviour>/…` and `test/<behaviour>/…` fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.data_making.checking.choices import plain_text
from engine.data_making.checking.findings import Finding, problem, warning
from engine.data_making.checking.forms import AB, letter_counts
from engine.data_making.checking.reading import SUFFIXES, Rows
from engine.data_making.duplicates import normalised

PROVENANCE = ".provenance.json"
_NEEDED = "generate_dataset.json"
_CLASSES = "classes.json"
_AB_TEST = "test_dataset_ab.json"


def data_files(folder: Path) -> list[Path]:
    """Every data file below a folder; provenance records and hidden files are none."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix.lower() in SUFFIXES
        and not path.name.endswith(PROVENANCE)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def layout_findings(folder: Path, read: Mapping[Path, Rows]) -> Iterator[Finding]:
    """What is wrong between the files, where the folder has the layout at all; `field` is the place in it."""
    generate = folder / "generate"
    for behavior in sorted(path.name for path in generate.iterdir() if path.is_dir()) if generate.is_dir() else ():
        made, tests = generate / behavior, folder / "test" / behavior
        if (made / _CLASSES).is_file() and not (made / _NEEDED).is_file():
            continue  # classes are contrasted with each other and have no A/B items
        if not (made / _NEEDED).is_file():
            yield problem(None, f"generate/{behavior}", f"has no {_NEEDED}", "the loader needs it")
        if not (tests / _AB_TEST).is_file():
            yield problem(None, f"test/{behavior}", f"has no {_AB_TEST}", "the loader needs it")
        balanced = read.get(made / "generate_balanced_dataset.json")
        if balanced and (counts := letter_counts(AB, _objects(balanced))) and (counts[0] != counts[1] or counts[2]):
            what = f"(A) {counts[0]} times, (B) {counts[1]} times, other letters {counts[2]} times"
            place = f"generate/{behavior}/generate_balanced_dataset.json"
            yield problem(None, place, what, "a balanced set has as many of either and no others")
        seen = _questions(read.get(made / _NEEDED))
        shared = sum(text in seen for text in _questions(read.get(tests / _AB_TEST)))
        if shared:
            what = f"{shared} questions of {_AB_TEST} are also in {_NEEDED}"
            yield warning(None, f"test/{behavior}", what, "results on them are not on new questions; remove them from one")


def _objects(rows: Rows) -> list[tuple[int, Any]]:
    return [(row, record) for row, record in rows.records if isinstance(record, dict)]


def _questions(rows: Rows | None) -> set[str]:
    return {normalised(plain_text(record.get("question", ""))) for _, record in _objects(rows)} if rows else set()
