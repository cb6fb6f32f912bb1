"""`tiller status [RUN] [--json]`: runs, and the tasks of one run with their reasons."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from gpu_graph.client import Client
from gpu_graph.follow import duration, printable
from gpu_graph.state import LETTERS, TaskState
from tui.cli.arguments import RUN_HELP, parser, workspace_of

RUN_LETTERS = {"queued": "Q", "running": "R", "paused": "P", "failed": "F", "cancelled": "C", "succeeded": "D"}


def main(argv: list[str]) -> int:
    options = parser("status", "Runs of this workspace, or the tasks of one run.")
    options.add_argument("run", metavar="RUN", nargs="?", help=RUN_HELP)
    options.add_argument("--json", action="store_true", help="for programs; times in seconds since the epoch")
    options.add_argument("--all", action="store_true", help="runs of every workspace that the server knows")
    arguments = options.parse_args(argv)
    workspace = None if arguments.all and not arguments.run else str(workspace_of(arguments))
    with Client.connect() as client:
        if arguments.run:
            runs = [client.request("status", workspace=workspace, run=arguments.run)]
        else:
            runs = client.request("runs", workspace=workspace)["runs"]
            if arguments.json:
                runs = [client.request("status", workspace=run["workspace"], run=run["id"]) for run in runs]
    if arguments.json:
        print(json.dumps({"runs": runs}, indent=1))
    elif arguments.run:
        _show_tasks(runs[0])
    else:
        _show_runs(runs)
    return 0


def _show_runs(runs: list[dict[str, Any]]) -> None:
    if not runs:
        print("no runs here yet; start one with: tiller run runs/FILE.py")
        return
    width = max(len(run["id"]) for run in runs)
    print(f"  {'run':<{width}}  {'state':<9}  {'done':>9}  fail       age")
    for run in runs:
        counts: Mapping[str, int] = run["counts"]
        done = counts.get("succeeded", 0) + counts.get("cached", 0)
        bad = counts.get("failed", 0) + counts.get("timed_out", 0) + counts.get("lost", 0)
        state = run["state"] if run["adopted"] else f"running on {run['host']}"
        share = f"{done}/{sum(counts.values())}"
        age = duration(time.time() - run["created_at"])
        print(f"{RUN_LETTERS[run['state']]} {run['id']:<{width}}  {state:<9}  {share:>9}  {bad or '·':>4}  {age:>8}")


def _show_tasks(run: Mapping[str, Any]) -> None:
    print(f"run {run['id']} {run['state']}" + ("" if run["adopted"] else f" on {run['host']}"))
    width = max(len(task["id"]) for task in run["tasks"])
    for task in run["tasks"]:
        letter = LETTERS[TaskState(task["state"])]
        begun, ended = task["started_at"], task["ended_at"]
        took = duration((ended or time.time()) - begun) if begun else "·"
        where = ",".join(task["devices"])
        said = printable(task["reason"] or "")
        if task["progress"]:
            said = printable(f"{task['progress'].get('done', '?')} of {task['progress'].get('total', '?')}")
        print(f"{letter} {task['id']:<{width}}  {task['state']:<9}  {took:>6}  {where:<12}  {said}".rstrip())
