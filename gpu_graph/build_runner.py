"""Runs a run file's `build` in its own process: `python -m gpu_graph.build_runner RUN_FILE ANSWER_FILE SECONDS`.

Arguments come as JSON on stdin. The graph, or what is wrong, goes to ANSWER_FILE as JSON, so that the file may print what
it likes. Also checks there, and nowhere else, that every `call` target can be imported, since importing runs code.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from gpu_graph.call_runner import load_target
from gpu_graph.errors import GraphError
from gpu_graph.files import write_whole
from gpu_graph.graph import Graph
from gpu_graph.spec import GraphSpec

_SPARE_SECONDS = 10.0


def build(path: Path, arguments: dict[str, Any]) -> GraphSpec:
    """Execute the run file and return its checked graph. Raises GraphError; what the file itself raises comes through."""
    module = ModuleType("tiller_run_file")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and typing look their module up
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    made = module.build(**arguments) if hasattr(module, "build") else module.graph
    if not isinstance(made, Graph):
        raise GraphError(f"{path}: build() returned a {type(made).__name__}, not a Graph; end it with: return graph")
    spec = made.spec()
    problems = [problem for task in spec.tasks if task.kind == "call" and (problem := _target_problem(task.id, task.target))]
    if problems:
        raise GraphError(problems, heading=f"graph {spec.name!r} cannot run:")
    return spec


def _target_problem(task_id: str, target: str) -> str | None:
    """A file's function is looked for in its syntax tree; a module is imported."""
    where, _, name = target.rpartition(":")
    try:
        if where.endswith(".py"):
            tree = ast.parse(Path(where).read_text(encoding="utf-8"))
            if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
                raise AttributeError(f"{where} has no function {name!r}")
        elif not callable(load_target(target)):
            raise AttributeError(f"{name!r} is not callable")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # importing runs the user's code, which may raise anything
        return f"task {task_id!r}: its target {target!r} cannot be imported: {error}"
    return None


def main() -> int:
    path, answer_file, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    signal.setitimer(signal.ITIMER_REAL, seconds + _SPARE_SECONDS)  # ends us also when the client that would do so is gone
    sys.path[:0] = [str(path.parent)]  # as python RUN_FILE would
    sys.path.append(str(Path.cwd()))
    answer: dict[str, Any]
    try:
        answer = {"graph": build(path, json.load(sys.stdin)).to_json()}
    except GraphError as error:
        answer = {"error": str(error)}
    except SystemExit as error:
        answer = {"error": f"{path}: it called sys.exit({error.code!r}) instead of returning a graph"}
    except Exception as error:  # noqa: BLE001  # the user's code may raise anything; they get its traceback
        shown = "".join(traceback.format_exception(type(error), error, _own_frames(error, path)))
        answer = {"error": f"{path} raised {type(error).__name__}: {error}", "traceback": shown}
    write_whole(answer_file, json.dumps(answer).encode())
    sys.stdout.flush()
    os._exit(0)  # a thread that the run file left behind must not keep us


def _own_frames(error: BaseException, path: Path) -> Any:
    """The traceback from the run file on: our frames above it tell a user nothing."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(path):
        trace = trace.tb_next
    return trace


if __name__ == "__main__":
    sys.exit(main())
