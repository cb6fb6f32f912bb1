"""`gpu_graph.run(gpus, commands, dependencies)`: the signature of the scheduler in EleutherAI/steering-llama3.

Its run files work with the import changed, and get what that scheduler lacked: a failed job's dependents are skipped
instead of run, unknown and circular dependencies are refused before anything starts, and the caller hears of failures.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gpu_graph.errors import GraphError, GraphFailed
from gpu_graph.graph import Graph

BUILDING = "TILLER_BUILDING"
"""Set where a run file is only built, so that one which calls `run(...)` itself can be told how it is started."""


def run(gpus: Sequence[int], commands: Mapping[str, str], dependencies: Mapping[str, Iterable[str]]) -> None:
    """Run shell commands in the order of their dependencies, one GPU each, on the GPUs with these indices; blocks.

    commands: job → shell command, run in the caller's cwd. dependencies: job → jobs that it needs; a job that is missing there
    is free. Prints progress. Raises GraphError before anything starts, GraphFailed naming what failed. Ctrl+C leaves the
    run going.
    """
    if os.environ.get(BUILDING):
        raise GraphError(f"this run file calls run(…) itself; start it with: python {sys.argv[1] if sys.argv[1:] else 'FILE'}")
    # Here, since `import gpu_graph` is in every run file and behind every quick command, and few of them call this.
    from gpu_graph.client import Client
    from gpu_graph.follow import follow, summary_lines
    from gpu_graph.submit import describe, submit
    from gpu_graph.workspace import find_workspace

    workspace = find_workspace(Path.cwd())
    graph = Graph(re.sub(r"[^A-Za-z0-9_.=+-]", "_", Path(sys.argv[0]).stem).lstrip(".=+-")[:100] or "run")
    for job, command in commands.items():
        graph.shell(job, command, after=dependencies.get(job, ()), cwd=Path.cwd())
    strangers = sorted(set(dependencies) - set(commands))
    if strangers:
        raise GraphError(f"dependencies names {', '.join(strangers)}, which commands does not have")
    client = Client.connect()
    run_id = submit(client, describe(graph.spec(), workspace, gpu_indices=gpus, run_file_path=sys.argv[0]))
    print(f"run {run_id}", flush=True)
    try:
        ended = follow(client, workspace, run_id, sys.stderr)
    except KeyboardInterrupt:
        print(f"\nthe run goes on; watch it with: tiller wait {run_id}", file=sys.stderr)
        raise
    print("\n".join(summary_lines(ended)), file=sys.stderr)
    failed = [f"{task['id']} ({task['state']})" for task in ended["tasks"] if task["state"] not in {"succeeded", "cached"}]
    if failed:
        raise GraphFailed(f"run {run_id}: {', '.join(failed)}; logs are in {workspace / 'logs' / run_id}")
