"""Run files as text: their description and the typed parameters of `build`, read from the syntax tree.

Looking at a run file never executes it; forms and command-line options come from here. Running `build` is `submit.py`'s
business, in a child process.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from gpu_graph.errors import GraphError

ScalarKind = Literal["str", "int", "float", "bool", "choice"]
REQUIRED = object()
"""The default of a parameter that has none."""

RESERVED = frozenset({"detach", "dry_run", "force", "plain", "help", "only", "from", "from_", "workspace", "json"})
"""Names that `tiller run` keeps for itself."""

_SEQUENCES = {"tuple", "list", "Sequence", "Iterable"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of `build`. many: takes several values; optional: None is allowed; choices: of a Literal."""

    name: str
    kind: ScalarKind
    many: bool
    optional: bool
    choices: tuple[Any, ...]
    default: Any

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    @property
    def type_name(self) -> str:
        """How its values are written, for help and forms."""
        scalar = "|".join(str(choice) for choice in self.choices) if self.kind == "choice" else self.kind
        return f"{scalar} …" if self.many else scalar

    def parse(self, text: str | Sequence[str]) -> Any:
        """The value that a person typed; several are words of their own, or separated by commas or blanks.

        Raises GraphError with a sentence that names the parameter and the value.
        """
        if self.many:
            words = text.replace(",", " ").split() if isinstance(text, str) else [w for t in text for w in t.split(",") if w]
            return tuple(self._scalar(word) for word in words)
        word = text if isinstance(text, str) else " ".join(text)
        if self.optional and word.strip() in {"", "none", "None"}:
            return None
        return self._scalar(word)

    def shown(self, value: Any) -> str:
        """The text that `parse` would read back as the value."""
        if value is None or value is REQUIRED:
            return ""
        if self.many:
            return " ".join(str(item) for item in value)
        return str(value)

    def _scalar(self, word: str) -> Any:
        try:
            match self.kind:
                case "int":
                    return int(word)
                case "float":
                    return float(word)
                case "bool":
                    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[word.lower()]
                case "choice":
                    return next(choice for choice in self.choices if str(choice) == word)
                case "str":
                    return word
        except (ValueError, KeyError, StopIteration):
            wanted = {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(self.kind)
            wanted = wanted or f"one of {', '.join(str(choice) for choice in self.choices)}"
            raise GraphError(f"{self.name}: {word!r} is not {wanted}") from None


@dataclass(frozen=True, slots=True)
class RunFile:
    """A run file: `build(...) -> Graph` with these parameters, or (has_build false) a module-level `graph`."""

    path: Path
    source: str
    description: str
    parameters: tuple[Parameter, ...]
    has_build: bool


def read_run_file(path: Path) -> RunFile:
    """Parse a run file without executing it. Raises GraphError naming the file for all that is wrong with it."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise GraphError(f"cannot read the run file {path}: {reason}") from None
    try:
        tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError) as error:
        where = f" line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise GraphError(f"{path}:{where} {getattr(error, 'msg', error)}: it is not valid Python") from None
    except (RecursionError, MemoryError):
        raise GraphError(f"{path}: it is nested too deeply to be read") from None
    build = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "build"), None)
    if build is None and not any(_assigns_graph(node) for node in tree.body):
        if any(_calls_run(node) for node in tree.body):
            raise GraphError(f"{path} calls run(…) itself; start it with: python {path}")
        raise GraphError(f"{path} has neither a function build() -> Graph nor a module-level graph; write one of them")
    description = ast.get_docstring(tree) or (build and ast.get_docstring(build)) or ""
    parameters = _parameters(build, path) if build else ()
    return RunFile(path, source, description, parameters, build is not None)


def _parameters(build: ast.FunctionDef, path: Path) -> tuple[Parameter, ...]:
    arguments = build.args
    if arguments.vararg or arguments.kwarg:
        raise GraphError(f"{path}: build() takes *args or **kwargs; name each parameter so that it can become an option")
    if arguments.posonlyargs:
        raise GraphError(f"{path}: build() has positional-only parameters; remove the / so that they can become options")
    defaults: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(arguments.args, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    for argument, _ in pairs:
        if argument.arg in RESERVED:
            raise GraphError(f"{path}: build() has a parameter {argument.arg!r}, which is an option of tiller run; rename it")
    return tuple(_parameter(argument, default, path) for argument, default in pairs)


def _parameter(argument: ast.arg, default: ast.expr | None, path: Path) -> Parameter:
    value: Any = REQUIRED
    if default is not None:
        try:
            value = ast.literal_eval(default)
            json.dumps(value)
        except (ValueError, TypeError):  # not a literal, or one that no option can give: a set, bytes
            raise GraphError(
                f"{path}: the default of {argument.arg!r} is {ast.unparse(default)}; write a plain value, since options are "
                "read without running the file"
            ) from None
    annotation = argument.annotation or _annotation_of(value)
    kind, many, optional, choices = _read_annotation(annotation, argument.arg, path)
    return Parameter(argument.arg, kind, many, optional or value is None, choices, value)


def _annotation_of(value: Any) -> ast.expr:
    """The annotation that an unannotated parameter's default implies."""
    many = isinstance(value, (tuple, list))
    items: list[Any] = list(value) if many else [value]  # pyright: ignore[reportUnknownArgumentType]  # a literal of any type
    name = type(items[0]).__name__ if items and type(items[0]).__name__ in get_args(ScalarKind) else "str"
    return ast.parse(f"tuple[{name}, ...]" if many else name, mode="eval").body


def _read_annotation(node: ast.expr, name: str, path: Path) -> tuple[ScalarKind, bool, bool, tuple[Any, ...]]:
    """(kind, many, optional, choices) of an annotation's syntax tree."""
    match node:
        case ast.Constant(value=str(text)) if (quoted := _expression(text)) is not None:
            return _read_annotation(quoted, name, path)
        case ast.Name(id="str" | "int" | "float" | "bool" as kind):
            return kind, False, False, ()
        case ast.Name(id="Path"):
            return "str", False, False, ()
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            kind, many, _, choices = _read_annotation(left, name, path)
            return kind, many, True, choices
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            kind, many, _, choices = _read_annotation(inner, name, path)
            return kind, many, True, choices
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner) if (choices := _choices(inner)) is not None:
            return "choice", False, False, choices
        case ast.Subscript(value=ast.Name(id=container), slice=inner) if container in _SEQUENCES:
            item = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
            kind, _, optional, choices = _read_annotation(item, name, path)
            return kind, True, optional, choices
        case ast.Name(id=container) if container in _SEQUENCES:
            return "str", True, False, ()
        case _:
            raise GraphError(
                f"{path}: parameter {name!r} has the type {ast.unparse(node)}, which cannot be typed in; use str, int, float, "
                "bool, Literal[…], tuple[…, ...] of these, or | None"
            )


def _expression(text: str) -> ast.expr | None:
    """A quoted annotation's syntax tree."""
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _choices(inner: ast.expr) -> tuple[Any, ...] | None:
    try:
        return tuple(ast.literal_eval(choice) for choice in (inner.elts if isinstance(inner, ast.Tuple) else [inner]))
    except (ValueError, TypeError):
        return None


def _assigns_graph(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == "graph" for target in targets)


def _calls_run(node: ast.stmt) -> bool:
    calls = (part for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(isinstance(call.func, ast.Name) and call.func.id == "run" for call in calls)
