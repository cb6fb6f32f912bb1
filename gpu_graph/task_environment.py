"""What a task gets: a real environment, and its argv. Pure functions.

The base is the environment of the client that submitted the run, not the server's, so two shells with different settings
get what they expect. The interpreter's folder comes first on PATH, so `python` and `tiller` in a task are the client's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gpu_graph.local import Attempt
from gpu_graph.placement import Inventory
from gpu_graph.process import ATTEMPT_VARIABLE
from gpu_graph.spec import TaskSpec

_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})

SHOWN_VALUES = ("PATH", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "LANG", "HF_HOME", "CUDA_HOME")
"""The only variables whose values may be written into a workspace; of all others the journal has names only."""


def task_environment(
    client: Mapping[str, str],
    *,
    interpreter: str,
    task: TaskSpec,
    attempt: Attempt,
    workspace: str,
    devices: Sequence[str],
    inventory: Inventory,
    services: Mapping[str, str],
) -> dict[str, str]:
    """The whole environment of one attempt. GPUs are named by UUID; a task on CPU slots sees none.

    services: what it says of them (`addresses.py`).
    """
    run_id, task_id, number = attempt.key
    if services:
        client = _past_proxies(client)
    gpus = [device for device in devices if device in inventory.memory_of]
    return {
        **client,
        **task.env,
        "PATH": f"{Path(interpreter).parent}:{task.env.get('PATH') or client.get('PATH', '/usr/local/bin:/usr/bin:/bin')}",
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "OMP_NUM_THREADS": task.env.get("OMP_NUM_THREADS", str(task.cpus)),
        "PYTHONUNBUFFERED": "1",
        # Python's setproctitle (vLLM, Ray) would write a title over the environment that /proc shows, by which processes of an
        # attempt are found: they could be neither ended nor known as the service's.
        "SPT_NOENV": "1",
        "TILLER_RUN": run_id,
        "TILLER_TASK": task_id,
        "TILLER_ATTEMPT": str(number),
        ATTEMPT_VARIABLE: attempt.id,
        "TILLER_WORKSPACE": workspace,
        "TILLER_PROGRESS": str(attempt.file("progress")),
        "TILLER_ARTIFACTS": str(attempt.file("artifacts")),
        **services,
    }


def _past_proxies(client: Mapping[str, str]) -> Mapping[str, str]:
    """The environment in which requests to 127.0.0.1 do not go to a proxy of the network, which could not pass them on."""
    if not any(name.lower() in _PROXIES and value for name, value in client.items()):
        return client
    excepted = client.get("no_proxy") or client.get("NO_PROXY") or ""
    if "127.0.0.1" not in excepted:
        excepted = f"{excepted},127.0.0.1" if excepted else "127.0.0.1"
    return {**client, "no_proxy": excepted, "NO_PROXY": excepted}


def task_argv(task: TaskSpec, attempt: Attempt, interpreter: str) -> tuple[str, ...]:
    """A string runs under `/bin/sh -c`; a call runs in `gpu_graph.call_runner`, which reads its arguments from a file."""
    if task.kind == "call":
        files = (str(attempt.file("kwargs.json")), str(attempt.file("result.json")))
        # -P: the workspace must not shadow our own packages while the runner is being found.
        return (interpreter, "-P", "-m", "gpu_graph.call_runner", task.target, *files)
    if isinstance(task.command, str):
        return ("/bin/sh", "-c", task.command)
    return task.command
