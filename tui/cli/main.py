"""Dispatch: the table of verbs, the overview, and what an error looks like.

A verb is a module with `main(argv) -> int`, exit status as DESIGN §8. A GraphError becomes one sentence on stderr and exit
2 (engine's verbs do the same with their own errors); a closed pipe ends a command quietly, as it does for other Unix tools.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from io import TextIOWrapper

from gpu_graph.errors import GraphError
from gpu_graph.version import VERSION

VERBS: dict[str, tuple[str, str]] = {
    "run": ("tui.cli.run", "run a run file: tiller run runs/FILE.py [--PARAMETER VALUE …]"),
    "status": ("tui.cli.status", "runs and tasks of this workspace, and why they wait"),
    "logs": ("tui.cli.logs", "a task's output: tiller logs RUN TASK [-f]"),
    "wait": ("tui.cli.wait", "follow a run until it ends; exits like run"),
    "cancel": ("tui.cli.cancel", "end a run, or some of its tasks"),
    "devices": ("tui.cli.devices", "GPUs and CPU slots, and what holds them"),
    "server": ("tui.cli.server", "start, stop or look at the per-user server"),
    "init": ("tui.cli.init", "make a workspace here or in DIR"),
    "steer": ("engine.steering.cli", "steering vectors: vectors, apply, score, plot"),
    "cd": ("engine.cd.cli", "two models: contrastive decoding, divergences, search, analysis"),
    "data": ("engine.data_making.cli", "data sets: make with an assistant, check, get the published ones"),
    "judge": ("engine.judges.cli", "judges: rubrics, check, score, compare, table"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command line; returns its exit status."""
    words = sys.argv[1:] if argv is None else argv
    warnings.showwarning = _say_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show · or → gets a question mark, not a traceback
    try:
        status = _dispatch(words)
        sys.stdout.flush()  # here, so that a reader who has left is noticed now
        return status
    except GraphError as error:
        print(f"tiller: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the interpreter's last flush is quiet too
        return 1


def _dispatch(words: list[str]) -> int:
    if not words:
        return _console_or_status()
    verb, *rest = words
    if verb in {"-h", "--help", "help"}:
        print(overview())
        return 0
    if verb in {"-V", "--version"}:
        print(f"tiller {VERSION}")
        return 0
    if verb not in VERBS:
        print(f"tiller: {verb!r} is not a command; tiller --help lists them", file=sys.stderr)
        return 2
    return import_module(VERBS[verb][0]).main(rest)


def overview() -> str:
    lines = ["usage: tiller [COMMAND …]", "", "Without a command, tiller opens the console on this workspace.", ""]
    lines += [f"  {verb:<10}{said}" for verb, (_, said) in VERBS.items()]
    lines += ["", "tiller COMMAND --help says more. RUN is a run's id, a unique beginning or end of one, or last."]
    return "\n".join(lines)


def _console_or_status() -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        return import_module("tui.cli.status").main([])
    from pathlib import Path

    from gpu_graph.workspace import find_workspace

    workspace = find_workspace(Path.cwd())
    return import_module("tui.app").run_console(workspace)


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"tiller: {message}", file=sys.stderr)
