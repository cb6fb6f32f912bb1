"""Taking in a submission: what forbids it, and making its run's folder whole before anybody can see it.

Starts nothing: an accepted run is brought to life by the host, from its folder, the same way as an adopted one.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from gpu_graph import run_folder
from gpu_graph.errors import GraphError
from gpu_graph.journal import FORMAT
from gpu_graph.placement import Inventory
from gpu_graph.process import boot_id, machine_id, pid_namespace
from gpu_graph.server.submission_store import SubmissionStore
from gpu_graph.submission import Submission
from gpu_graph.task_environment import SHOWN_VALUES
from gpu_graph.validation import device_problems, environment_problems, graph_problems


class Identity:
    """Who this server is, in the words of a journal: a server adopts only runs that it, or one before it, has opened."""

    def __init__(self, server_id: str) -> None:
        self.hostname = socket.gethostname()
        self._server_id = server_id

    def owns(self, opened: Mapping[str, Any]) -> bool:
        """Whether a journal with this first record is of this machine, user and state folder."""
        return (opened["machine"], opened["uid"], opened["server"]) == (machine_id(), os.getuid(), self._server_id)

    def opened_record(self, submission: Submission, now: float) -> dict[str, Any]:
        """The first record: where the run comes from. Of the environment it has names, and the values of an allow-list."""
        environment = submission.environment
        return {
            "type": "opened",
            "format": FORMAT,
            "at": now,
            "machine": machine_id(),
            "host": self.hostname,
            "uid": os.getuid(),
            "server": self._server_id,
            "workspace": submission.workspace,
            "interpreter": submission.interpreter,
            "run_file": submission.run_file_path,
            "parameters": dict(submission.parameters),
            "environment_names": sorted(environment),
            "environment": {name: environment[name] for name in SHOWN_VALUES if name in environment},
        }

    def server_record(self, now: float) -> dict[str, Any]:
        """Which server process holds the run from now on; without its boot and namespace a pid means nothing."""
        return {"type": "server", "at": now, "pid": os.getpid(), "boot": boot_id(), "pid_namespace": pid_namespace()}


class Intake:
    """What comes from clients until it is a run on disk."""

    def __init__(self, inventory: Inventory, identity: Identity, submissions: SubmissionStore) -> None:
        self._inventory = inventory
        self._identity = identity
        self._submissions = submissions

    def problems(self, submission: Submission) -> list[str]:
        """Everything that forbids this submission on this host."""
        graph = submission.graph
        devices = _devices_by_index(self._inventory)
        absent = [index for index in submission.gpu_indices or () if index not in devices]
        if absent:
            return [f"GPU index {absent[0]} is not one of this host's {len(devices)} devices (0 … {len(devices) - 1})"]
        problems = graph_problems(graph)
        if not problems:
            problems = device_problems(graph, self._inventory, allowed_devices(submission, self._inventory))
        return problems + environment_problems(graph, submission.environment)

    def check(self, name: str, digest: str) -> list[str]:
        """The problems of an incoming submission, which is then dropped."""
        try:
            return self.problems(self._submissions.read_incoming(name, digest))
        finally:
            self._submissions.discard_incoming(name)

    def accept(self, name: str, digest: str, taken: Container[str]) -> tuple[str, Submission]:
        """Make an incoming submission a run on disk; `taken`: run ids in use. Raises GraphError, having written nothing."""
        submission = self._submissions.read_incoming(name, digest)
        problems = self.problems(submission)
        if problems:
            self._submissions.discard_incoming(name)
            raise GraphError(problems, heading=f"graph {submission.graph.name!r} cannot run:")
        now = time.time()
        workspace = Path(submission.workspace)
        run_id = run_folder.new_run_id(submission.graph.name, now, workspace / "logs", taken)
        new = run_folder.NewRunFolder(workspace, run_id)
        try:
            records = [self._identity.opened_record(submission, now), self._identity.server_record(now)]
            new.write(_folder_files(submission), records)
            self._submissions.accept(name, run_id)
            new.commit()
        except OSError as error:
            new.discard()
            self._submissions.discard_incoming(name)
            self._submissions.drop(run_id)
            raise GraphError(f"cannot write {new.final}: {error.strerror}; nothing was started") from None
        return run_id, submission


def allowed_devices(submission: Submission, inventory: Inventory) -> frozenset[str] | None:
    """The devices that the submission restricts itself to. One that has gone since is left out: its tasks wait."""
    if submission.gpu_indices is None:
        return None
    devices = _devices_by_index(inventory)
    return frozenset(devices[index] for index in submission.gpu_indices if index in devices)


def _devices_by_index(inventory: Inventory) -> dict[int, str]:
    return {device.index: device.id for device in inventory.gpus or inventory.slots}


def _folder_files(submission: Submission) -> dict[str, bytes]:
    files = {run_folder.GRAPH: json.dumps(submission.graph.to_json(), indent=1).encode()}
    if submission.run_file is not None:
        files["run_file.py"] = submission.run_file.encode()
    if submission.git is not None:
        files["git.json"] = json.dumps(submission.git, indent=1).encode()
    return files
