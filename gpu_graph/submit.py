"""From a run file to a run, on the client's side: build in a child process, gather the surroundings, hand over.

Raises GraphError for everything that is wrong, before anything has started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_graph.client import Client
from gpu_graph.errors import GraphError
from gpu_graph.paths import state_dir
from gpu_graph.run_file import RunFile, read_run_file
from gpu_graph.seed_interface import BUILDING
from gpu_graph.spec import GraphSpec
from gpu_graph.submission import Submission, write_submission

BUILD_SECONDS = 60.0
"""How long build() may take, unless TILLER_BUILD_SECONDS says otherwise."""

_LONGEST_BUILD = 86_400.0
_GIT_SECONDS = 10.0
_LONGEST_DIFF = 2**20
_SECRET_FILES = (":(top,exclude,glob)**/.env*", ":(top,exclude,glob)**/*.env")
_STDERR = 2


class BuildError(GraphError):
    """The run file's own code raised; `traceback` shows where."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


def prepare(path: Path, parameters: Mapping[str, Any], workspace: Path) -> Submission:
    """Build the run file's graph with these parameters and describe what its tasks will get. Raises GraphError."""
    run_file = read_run_file(path)
    missing = [parameter.name for parameter in run_file.parameters if parameter.required and parameter.name not in parameters]
    if missing:
        raise GraphError(f"{path}: build() needs {', '.join(missing)}; give it as --{missing[0].replace('_', '-')} VALUE")
    graph = build_graph(run_file, parameters, workspace)
    shown = str(path.resolve().relative_to(workspace)) if path.resolve().is_relative_to(workspace) else str(path.resolve())
    return describe(graph, workspace, run_file=run_file.source, run_file_path=shown, parameters=parameters)


def describe(
    graph: GraphSpec,
    workspace: Path,
    *,
    run_file: str | None = None,
    run_file_path: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    gpu_indices: Sequence[int] | None = None,
) -> Submission:
    """A graph with this process's environment, interpreter and git state."""
    return Submission(
        graph=graph,
        workspace=str(workspace),
        environment={name: value for name, value in os.environ.items() if name != BUILDING},
        interpreter=sys.executable,
        run_file=run_file,
        run_file_path=run_file_path,
        parameters=parameters or {},
        git=git_state(workspace),
        gpu_indices=None if gpu_indices is None else tuple(gpu_indices),
    )


def check(client: Client, submission: Submission) -> list[str]:
    """What would refuse this submission on the server's host; starts nothing."""
    name, digest = write_submission(state_dir(), submission)
    return client.request("check", submission=name, sha256=digest)["problems"]


def submit(client: Client, submission: Submission) -> str:
    """Start the run; returns its id. Raises GraphError, and then nothing was started."""
    name, digest = write_submission(state_dir(), submission)
    return client.request("submit", submission=name, sha256=digest)["run"]


def build_graph(run_file: RunFile, parameters: Mapping[str, Any], workspace: Path) -> GraphSpec:
    """Run `build` in a child process, in the workspace. Raises GraphError, also when it takes too long."""
    seconds = _build_seconds()
    with tempfile.TemporaryDirectory(prefix="tiller-build-") as folder:
        answer_file = Path(folder) / "answer.json"
        child = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "gpu_graph.build_runner",
                str(run_file.path.resolve()),
                str(answer_file),
                str(seconds),
            ],
            stdin=subprocess.PIPE,
            stdout=_STDERR,  # ours is for the run's id
            cwd=workspace,
            env={**os.environ, BUILDING: "1"},
            start_new_session=True,
        )
        try:
            child.communicate(json.dumps(dict(parameters)).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            raise GraphError(
                f"{run_file.path}: build() did not return within {seconds:g} s; it should only declare tasks "
                "(TILLER_BUILD_SECONDS allows more)"
            ) from None
        finally:
            _end_session(child)
        if not answer_file.exists():
            raise GraphError(f"{run_file.path}: the process that ran build() {_how_ended(child.returncode)} without an answer")
        answer = json.loads(answer_file.read_text())
    if "traceback" in answer:
        raise BuildError(answer["error"], answer["traceback"])
    if "error" in answer:
        raise GraphError(answer["error"])
    return GraphSpec.from_json(answer["graph"])


def git_state(workspace: Path) -> dict[str, Any] | None:
    """Commit, branch and uncommitted diff (cut at 1 MiB) of the workspace; None where there is no git or no repository.

    The diff leaves out files that hold keys by custom, `.env` and its like: what it says is kept with the run.
    """

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=workspace, capture_output=True, timeout=_GIT_SECONDS, check=False)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    diff = git("diff", "HEAD", "--no-ext-diff", "--", ":/", *_SECRET_FILES) or ""
    return {
        "commit": commit.strip(),
        "branch": (git("rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "status": (git("status", "--porcelain") or "").splitlines(),
        "diff": diff[:_LONGEST_DIFF],
        "diff_cut": len(diff) > _LONGEST_DIFF,
    }


def _build_seconds() -> float:
    said = os.environ.get("TILLER_BUILD_SECONDS", str(BUILD_SECONDS))
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_BUILD:
        raise GraphError(f"TILLER_BUILD_SECONDS={said!r} is not a number of seconds from 0 to {_LONGEST_BUILD:g}")
    return seconds


def _how_ended(status: int) -> str:
    return f"exited with status {status}" if status >= 0 else f"was ended by signal {-status}"


def _end_session(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started in its session."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
