"""`tiller run FILE`: build, validate, submit, and show progress until the run ends. The run never depends on this process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from gpu_graph.client import Client
from gpu_graph.errors import GraphError
from gpu_graph.run_file import Parameter, RunFile, read_run_file
from gpu_graph.submission import Submission
from gpu_graph.submit import BuildError, check, prepare, submit
from tui.cli.arguments import parser, workspace_of
from tui.cli.following import follow_to_exit_status

_EPILOG = "A run file's own parameters become options: tiller run FILE --help lists them."


def main(argv: list[str]) -> int:
    arguments, file_arguments = _split(argv)
    run_file = read_run_file(Path(arguments.file))
    parameters = _read_parameters(run_file, file_arguments)
    workspace = workspace_of(arguments)
    try:
        submission = prepare(run_file.path, parameters, workspace)
    except BuildError as error:
        print(error.traceback, end="", file=sys.stderr)
        raise
    client = Client.connect()
    if arguments.dry_run:
        return _show_plan(client, submission)
    run_id = submit(client, submission)
    print(f"run {run_id}", flush=True)
    if arguments.detach:
        print(f"detached; watch it with: tiller   or: tiller wait {run_id}", file=sys.stderr)
        return 0
    return follow_to_exit_status(client, workspace, run_id)


def _base_parser() -> argparse.ArgumentParser:
    made = parser("run", "Run the graph of a run file. Progress goes to stderr; stdout's first line is: run ID.")
    made.epilog = _EPILOG
    made.add_argument("file", metavar="FILE", help="a Python file with build(...) -> Graph")
    made.add_argument("--detach", action="store_true", help="return as soon as the run is accepted")
    made.add_argument("--dry-run", action="store_true", help="validate and show the plan; start nothing")
    made.add_argument("--plain", action="store_true", help="progress as plain lines (as when stderr is no terminal)")
    return made


def _split(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our own options, and what is left for the file's parameters. --help waits until the file is known."""
    base = _base_parser()
    wants_help = [word for word in argv if word in {"-h", "--help"}]
    words = [word for word in argv if word not in wants_help]
    if wants_help and not any(not word.startswith("-") for word in words):
        base.print_help()
        sys.exit(0)
    arguments, rest = base.parse_known_args(words)
    return arguments, rest + wants_help


def _read_parameters(run_file: RunFile, words: list[str]) -> dict[str, Any]:
    """The values given for build's parameters. Raises GraphError naming the parameter and the value."""
    base = _base_parser()
    options = argparse.ArgumentParser(
        prog=f"tiller run {run_file.path}",
        description=run_file.description,
        epilog="\n".join(base.format_help().splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for parameter in run_file.parameters:
        _add_option(options, parameter)
    given = vars(options.parse_args(words))
    parsed: dict[str, Any] = {}
    for parameter in run_file.parameters:
        value = given[parameter.name]
        if value is not None:
            parsed[parameter.name] = value if isinstance(value, bool) else parameter.parse(value)
    return parsed


def _add_option(options: argparse.ArgumentParser, parameter: Parameter) -> None:
    flags = [f"--{parameter.name.replace('_', '-')}"]
    if "_" in parameter.name:
        flags.append(f"--{parameter.name}")
    shown = "required" if parameter.required else f"default: {parameter.shown(parameter.default) or 'none'}"
    said = f"{parameter.type_name} ({shown})".replace("%", "%%")
    if parameter.kind == "bool" and not parameter.many:
        options.add_argument(*flags, dest=parameter.name, action=argparse.BooleanOptionalAction, default=None, help=shown)
        return
    several = {"nargs": "+"} if parameter.many else {}
    metavar = parameter.name.upper()
    options.add_argument(*flags, dest=parameter.name, default=None, metavar=metavar, help=said, **several)  # type: ignore[arg-type]


def _show_plan(client: Client, submission: Submission) -> int:
    problems = check(client, submission)
    if problems:
        raise GraphError(problems, heading=f"graph {submission.graph.name!r} cannot run:")
    tasks = submission.graph.tasks
    print(f"plan of {submission.graph.name}: {len(tasks)} tasks; nothing was started")
    for task in tasks:
        needs = f"{task.gpus} GPU{'s' if task.gpus > 1 else ''}" if task.gpus else f"{task.cpus} CPU"
        kind = ["a service"] if task.kind == "service" else []
        after = [f"after {', '.join(task.after)}"] if task.after else []
        print(f"  {task.id:<28} {needs:<7} {', '.join(kind + after)}".rstrip())
    return 0
