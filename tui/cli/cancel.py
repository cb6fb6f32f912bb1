"""`tiller cancel RUN [TASK…]`: end a run or some of its tasks, with all their processes."""

from __future__ import annotations

from gpu_graph.client import Client
from gpu_graph.process import GRACE_SECONDS
from tui.cli.arguments import RUN_HELP, parser, workspace_of


def main(argv: list[str]) -> int:
    options = parser("cancel", f"End a run, or some tasks of it: TERM, {GRACE_SECONDS:g} s of grace, KILL, for the whole tree.")
    options.add_argument("run", metavar="RUN", help=RUN_HELP)
    options.add_argument("tasks", metavar="TASK", nargs="*", help="task ids (default: the whole run)")
    arguments = options.parse_args(argv)
    with Client.connect() as client:
        done = client.request(
            "cancel", workspace=str(workspace_of(arguments)), run=arguments.run, tasks=arguments.tasks or None
        )
    count = len(done["cancelled"])
    print(f"cancelling {count} task{'' if count == 1 else 's'} of {done['run']}")
    return 0
