"""`tiller VERB STEP …`: a table of steps, their settings as options, and how a step ends.

Owns parsing and endings: 0 and one summary line, 2 for bad input, 1 for a failure, each with one sentence on stderr, 130 after
Ctrl+C. It knows no step. Nothing heavy is imported before a step has something to compute.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import tyro
from pydantic import ValidationError

from engine.errors import EngineError, InputError
from engine.settings import StepSettings, is_positional

Steps = Mapping[str, tuple[type[StepSettings], str]]
"""Step → its settings and what it does in a few words. A step may be two words ("make contrast")."""

_Settings = TypeVar("_Settings", bound=StepSettings)


def run_step(verb: str, package: str, steps: Steps, argv: Sequence[str]) -> int:
    """One command line of `tiller VERB`: the step `make contrast` is `PACKAGE.make_contrast.run(settings) -> summary`."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage(verb, steps))
        return 0 if argv else 2
    name = _step_of(argv, steps)
    if name is None:
        print(f"tiller {verb} has no step '{argv[0]}'; it has {', '.join(steps)}.", file=sys.stderr)
        return 2
    command, options = f"tiller {verb} {name}", argv[len(name.split()) :]
    try:
        settings = parse(steps[name][0], options, command)
        summary = importlib.import_module(f"{package}.{name.replace(' ', '_')}").run(settings)
    except EngineError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print(f"{command}: stopped; the same command goes on from what is already written", file=sys.stderr)
        return 130
    except SystemExit as stop:  # tyro's way to end after --help (0) and after options it cannot read (2)
        return int(stop.code or 0)
    print(summary)
    return 0


def parse(kind: type[_Settings], options: Sequence[str], prog: str) -> _Settings:
    """Options → validated settings; a value out of range is one sentence that names option and limit."""
    fields = []
    for name, field in kind.model_fields.items():
        marks = [tyro.conf.arg(help=field.description), *([tyro.conf.Positional] if is_positional(field) else [])]
        default = dataclasses.field() if field.is_required() else dataclasses.field(default=field.default)
        fields.append((name, Annotated[(field.annotation, *marks)], default))
    form: Any = dataclasses.make_dataclass(kind.__name__, fields, frozen=True, kw_only=True)
    values = tyro.cli(form, args=list(options), prog=prog, description=kind.__doc__)
    try:
        return kind(**dataclasses.asdict(values))
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:  # a rule over several options names them itself
            raise InputError(f"{reason.rstrip('.')}.") from error
        name = str(first["loc"][0])
        option = name.upper() if is_positional(kind.model_fields[name]) else "--" + name.replace("_", "-")
        if first["type"] == "too_short" and not first["input"]:
            raise InputError(f"{option} is empty; give at least one.") from error
        raise InputError(f"{option} {first['input']}: {reason[0].lower()}{reason[1:].rstrip('.')}.") from error


def _step_of(argv: Sequence[str], steps: Steps) -> str | None:
    """The step that the first words name."""
    return next((name for name in steps if tuple(argv[: len(words := name.split())]) == tuple(words)), None)


def _usage(verb: str, steps: Steps) -> str:
    width = max(map(len, steps)) + 2
    lines = [f"  {name:<{width}}{about}" for name, (_, about) in steps.items()]
    return "\n".join([f"usage: tiller {verb} STEP [options]", "", "steps:", *lines, "", "STEP --help lists its options."])
