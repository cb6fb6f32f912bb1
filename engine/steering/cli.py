"""`tiller steer STEP …`: the steps' settings as command-line options.

Owns parsing and how a step ends: 0 and one summary line, 2 for bad input, 1 for a failure, each with one sentence on stderr.
Nothing heavy is imported before a step has something to compute.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro
from pydantic import ValidationError

from engine.errors import EngineError, InputError
from engine.settings import StepSettings
from engine.steering import settings as steps

STEPS: dict[str, tuple[type[StepSettings], str]] = {
    "vectors": (steps.VectorSettings, "make a behaviour's steering vectors and choose a layer"),
    "apply": (steps.ApplySettings, "measure and write answers of the steered model over a sweep"),
    "score": (steps.ScoreSettings, "judge the answers of a sweep"),
    "plot": (steps.PlotSettings, "show a sweep as table and curve, and save it as PNG and CSV"),
    "report": (steps.ReportSettings, "show the sweeps of several behaviours"),
}


def main(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage())
        return 0 if argv else 2
    name, *options = argv
    if name not in STEPS:
        print(f"tiller steer has no step '{name}'; it has {', '.join(STEPS)}.", file=sys.stderr)
        return 2
    kind, _ = STEPS[name]
    try:
        settings = parse(kind, options, f"tiller steer {name}")
        summary = importlib.import_module(f"engine.steering.steps.{name}").run(settings)
    except EngineError as error:
        print(f"tiller steer {name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print(f"tiller steer {name}: stopped; the same command goes on from what is already written", file=sys.stderr)
        return 130
    except SystemExit as stop:  # tyro's way to end after --help (0) and after options it cannot read (2)
        return int(stop.code or 0)
    print(summary)
    return 0


def parse(kind: type[StepSettings], options: Sequence[str], prog: str) -> Any:
    """Options → validated settings; a value out of range is one sentence that names option and limit."""
    fields = []
    for name, field in kind.model_fields.items():
        annotation = Annotated[field.annotation, tyro.conf.arg(help=field.description)]
        fields.append((name, annotation, dataclasses.field(default=field.default)))
    form = dataclasses.make_dataclass(kind.__name__, fields, frozen=True)
    values = tyro.cli(form, args=list(options), prog=prog, description=kind.__doc__)
    try:
        return kind(**dataclasses.asdict(values))
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + "-".join(str(part) for part in first["loc"][:1]).replace("_", "-")
        raise InputError(f"{option} {first['input']}: {first['msg'][0].lower()}{first['msg'][1:]}.") from error


def _usage() -> str:
    lines = [f"  {name:<9}{about}" for name, (_, about) in STEPS.items()]
    return "\n".join(
        ["usage: tiller steer STEP [options]", "", "steps, in order:", *lines, "", "STEP --help lists its options."]
    )
