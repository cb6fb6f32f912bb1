"""`tiller wait RUN`: follow a run until it ends, and exit as `tiller run` would have."""

from __future__ import annotations

from gpu_graph.client import Client
from tui.cli.arguments import RUN_HELP, parser, workspace_of
from tui.cli.following import follow_to_exit_status


def main(argv: list[str]) -> int:
    options = parser("wait", "Follow a run until it ends. Exits 0 when all succeeded, 1 otherwise; Ctrl+C leaves it going.")
    options.add_argument("run", metavar="RUN", help=RUN_HELP)
    arguments = options.parse_args(argv)
    workspace = workspace_of(arguments)
    client = Client.connect()
    run_id = client.request("status", workspace=str(workspace), run=arguments.run)["id"]
    return follow_to_exit_status(client, workspace, run_id)
