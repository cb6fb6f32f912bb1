"""`tiller data check FILE|FOLDER …`: what each file is, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.data_making.checking.findings import Finding
from engine.data_making.checking.forms import Form, findings_of, fitting, letter_counts, recognise, repeats
from engine.data_making.checking.layout import data_files, layout_findings
from engine.data_making.checking.reading import Rows, read_rows
from engine.data_making.settings import CheckSettings
from engine.errors import EngineError, InputError

_SHOWN = 20
_COLUMNS = ("form", "items", "(A)/(B)", "repeated", "problems", "warnings", "file")


@dataclass(frozen=True, slots=True)
class Checked:
    """One file, or a folder's layout (no form). shown: its name in the table, from the folder that was named."""

    name: str
    shown: str
    form: str
    items: str
    letters: str
    repeated: str
    findings: tuple[Finding, ...]

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def row(self) -> tuple[str, ...]:
        counts = (str(self.count("problem")), str(self.count("warning")))
        return (self.form, self.items, self.letters, self.repeated, *counts, self.shown)


def run(settings: CheckSettings) -> str:
    if not settings.paths:
        raise InputError("Name at least one file or folder to check.")
    checked: list[Checked] = []
    unreadable: list[str] = []
    for name in settings.paths:
        path = Path(name).expanduser()
        files = data_files(path) if path.is_dir() else [path]
        if not files:
            unreadable.append(f"{path} holds no data files; give a file, or a folder that has some.")
        read: dict[Path, Rows] = {}
        for file in files:
            try:
                read[file] = rows = read_rows(file)
                checked.append(_check(file, rows, path))
            except InputError as error:
                unreadable.append(str(error))
        if path.is_dir() and (findings := tuple(layout_findings(path, read))):
            checked.append(Checked(str(path), str(path), "folder", "", "", "", findings))
    _show(checked, settings.all)
    for sentence in unreadable:
        print(sentence)
    problems = sum(one.count("problem") for one in checked)
    summary = f"{len(checked)} checked, {problems} problems, {sum(one.count('warning') for one in checked)} warnings"
    if unreadable:
        raise InputError(f"{summary}, {len(unreadable)} that cannot be read or are of no known form.")
    if problems:
        raise EngineError(f"{summary}.")
    return summary


def _check(path: Path, rows: Rows, named: Path) -> Checked:
    form = recognise(rows)
    if form is None:
        fields = sorted({name for _, record in rows.records[:20] if isinstance(record, dict) for name in record})
        held = f"fields {', '.join(fields)}" if fields else "no records with fields"
        raise InputError(f"{path} is of no form that tiller knows ({held}); docs/how-to/make-data.md lists the forms.")
    known = fitting(form, rows)
    return Checked(
        name=str(path),
        shown=str(path if path == named else path.relative_to(named)),
        form=form.name,
        items=str(len(rows.records)),
        letters=_letters(form, known),
        repeated=str(len(repeats(form, known))),
        findings=tuple(findings_of(form, rows)),
    )


def _letters(form: Form, rows: Sequence[tuple[int, object]]) -> str:
    counts = letter_counts(form, rows)
    if counts is None:
        return ""
    return f"{counts[0]}/{counts[1]}" + (f" +{counts[2]}" if counts[2] else "")


def _show(checked: Sequence[Checked], everything: bool) -> None:
    """Every finding as a line, problems first; then the table."""
    for one in checked:
        for level in ("problem", "warning"):
            lines = [finding.line(one.name) for finding in one.findings if finding.level == level]
            shown = lines if everything else lines[:_SHOWN]
            for line in shown:
                print(line if level == "problem" else f"warning: {line}")
            if len(shown) < len(lines):
                print(f"{one.name}: and {len(lines) - len(shown)} more {level}s; --all shows them")
    if checked:
        rows = [_COLUMNS, *(one.row() for one in checked)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        print(
            *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows), sep="\n"
        )
