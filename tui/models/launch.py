"""The form of a run file: one field for each parameter of `build`, read from its syntax tree, and what is wrong with each."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_graph.errors import GraphError
from gpu_graph.run_file import Parameter, RunFile, read_run_file
from tui.models.columns import Cell, Column
from tui.models.text import Line, Tone, line, wrap
from tui.safe_text import clean_name

FILE_COLUMNS = (
    Column("", 1, gap=1),
    Column("run file", 24, grow=1, most=36),
    Column("what it does", 20, grow=4, most=120),
)
NO_FILES = (
    line(),
    line("   No run files here: Python files in runs/ with a function build() -> Graph."),
    line(),
    line("   ", ("tiller init", Tone.HEADING), " in a shell writes an example, ", ("q", Tone.HEADING), " goes back."),
)
LOOKING = (line(), line(("   Looking into runs/ …", Tone.DONE)))


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of `runs/`: what was read of it, or why it is not a run file."""

    path: Path
    run_file: RunFile | None
    problem: str

    @property
    def headline(self) -> str:
        description = self.run_file.description if self.run_file else ""
        return clean_name(description.strip().split("\n")[0])


def find_run_files(workspace: Path) -> list[FoundFile]:
    """The run files of the workspace, newest name first. Reads them; executes nothing."""
    found: list[FoundFile] = []
    for path in sorted((workspace / "runs").glob("*.py"), reverse=True):
        if path.name.startswith(("_", ".")):
            continue
        try:
            found.append(FoundFile(path, read_run_file(path), ""))
        except GraphError as error:
            found.append(FoundFile(path, None, str(error).removeprefix(f"{path}").lstrip(": ")))
    return found


def file_cells(found: FoundFile) -> Sequence[Cell]:
    if found.run_file is None:
        return ("!", Tone.ATTENTION), (clean_name(found.path.name), Tone.DONE), (clean_name(found.problem), Tone.ATTENTION)
    return "", clean_name(found.path.name), (found.headline, Tone.DONE)


def file_detail(found: FoundFile, width: int, height: int) -> list[Line]:
    """All that a run file says of itself, or all that is wrong with it."""
    parts = [found.path.name, found.problem or (found.run_file.description if found.run_file else "")]
    name, said = (clean_name(part) for part in parts)
    tone = Tone.ATTENTION if found.problem else Tone.PLAIN
    return [line(" ", (name, Tone.HEADING)), *(line((f" {text}", tone)) for text in wrap(said, width - 2, height - 1))][:height]


@dataclass
class FormField:
    """One parameter and the text that stands in its field."""

    parameter: Parameter
    text: str
    description: str = ""

    @property
    def problem(self) -> str:
        """Why the text is not a value, or nothing."""
        if not self.text.strip() and self.parameter.required:
            return "needs a value"
        try:
            self.value()
        except GraphError as error:
            return str(error).removeprefix(f"{self.parameter.name}: ")
        return ""

    @property
    def hint(self) -> str:
        """What may be written."""
        said = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
        kind = said.get(self.parameter.kind) or " or ".join(str(choice) for choice in self.parameter.choices)
        if self.parameter.many:
            kind = f"several of {kind}" if self.parameter.choices else "words" if kind == "text" else f"several {kind}s"
        return kind + (", or nothing" if self.parameter.optional else "")

    @property
    def changed(self) -> bool:
        return self.parameter.required or self.text != self.parameter.shown(self.parameter.default)

    def value(self) -> Any:
        """Raises GraphError for a text that is not one. An untouched field is its default, whatever its type."""
        return self.parameter.parse(self.text) if self.changed else self.parameter.default


@dataclass
class Form:
    """All fields of one run file."""

    run_file: RunFile
    fields: list[FormField] = field(init=False)

    def __post_init__(self) -> None:
        described = _described(self.run_file)
        self.fields = [
            FormField(parameter, parameter.shown(parameter.default), described.get(parameter.name, ""))
            for parameter in self.run_file.parameters
        ]

    @property
    def summary(self) -> str:
        """The first paragraph of what the run file says of itself."""
        said = clean_name(self.run_file.description.strip().split("\n\n")[0])
        return said or "This run file has no description."

    @property
    def problems(self) -> list[str]:
        return [f"{entry.parameter.name}: {entry.problem}" for entry in self.fields if entry.problem]

    def values(self) -> dict[str, Any]:
        """The parameters for `build`. Raises GraphError when a field is wrong."""
        return {entry.parameter.name: entry.value() for entry in self.fields}


def _described(run_file: RunFile) -> dict[str, str]:
    """What `build`'s docstring says of its parameters, in lines of the form `name: words`."""
    builds = [node for node in ast.parse(run_file.source).body if isinstance(node, ast.FunctionDef) and node.name == "build"]
    lines = (ast.get_docstring(builds[0]) or "").split("\n") if builds else []
    pairs = [line.strip().split(":", 1) for line in lines if ":" in line]
    return {name.strip(): clean_name(said) for name, said in pairs}
