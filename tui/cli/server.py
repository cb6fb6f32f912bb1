"""`tiller server start|stop|status`: the per-user server. Other commands start it by themselves."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from gpu_graph.client import Client, server_status
from gpu_graph.errors import ServerError
from gpu_graph.process import GRACE_SECONDS, start_ticks
from gpu_graph.protocol import PROTOCOL
from tui.cli.arguments import parser

NOT_RUNNING = 3
_STOP_SECONDS = 10.0


def main(argv: list[str]) -> int:
    options = parser("server", "Start, stop or look at this user's server.")
    options.add_argument("what", choices=["start", "stop", "status"])
    options.add_argument("--cancel", action="store_true", help="with stop: end all runs first")
    options.add_argument("--json", action="store_true", help="with status: for programs")
    arguments = options.parse_args(argv)
    if arguments.what == "start":
        with Client.connect() as client:
            print(f"server running, pid {client.greeting['pid']}")
        return 0
    if arguments.what == "stop":
        return _stop(cancel=arguments.cancel)
    return _status(as_json=arguments.json)


def _status(*, as_json: bool) -> int:
    greeting = server_status()
    said = {
        "running": greeting is not None,
        "pid": greeting and greeting["pid"],
        "socket": greeting and greeting["socket"],
        "version": greeting and greeting["tiller"],
    }
    if as_json:
        print(json.dumps(said))
    elif greeting is None:
        print("no server is running; any command that needs one starts it")
    else:
        print(f"server running, pid {said['pid']}, version {said['version']}, socket {said['socket']}")
    return 0 if greeting else NOT_RUNNING


def _stop(*, cancel: bool) -> int:
    greeting = server_status()
    if greeting is None:
        print("no server is running")
        return NOT_RUNNING
    began = start_ticks(greeting["pid"])
    if greeting["protocol"] == PROTOCOL:
        with Client.connect(start=False) as client:
            left = client.request("stop", cancel=cancel)
    elif cancel:
        raise ServerError(f"the server is tiller {greeting['tiller']} and cannot be asked to cancel; cancel with that version")
    else:
        os.kill(greeting["pid"], signal.SIGTERM)  # the one thing that servers of all versions understand
        left = {"running": 0}
    deadline = time.monotonic() + _STOP_SECONDS + (3 * GRACE_SECONDS if cancel else 0)
    while (
        began is not None and start_ticks(greeting["pid"]) == began
    ):  # the process itself, which holds the lock longer than it answers
        if time.monotonic() > deadline:
            raise ServerError(f"the server (pid {greeting['pid']}) has not stopped yet; look again with: tiller server status")
        time.sleep(0.05)
    if left["running"] and not cancel:
        count = left["running"]
        print(f"server stopped; {count} task{' goes' if count == 1 else 's go'} on, and the next tiller command takes over")
    else:
        print("server stopped", file=sys.stdout)
    return 0
