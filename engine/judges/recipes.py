"""Judges as services of a graph: one server, started once, asked by every task that names it in `after`.

    judge = transformers_judge(graph, "demo")
    graph.shell("score", ["tiller", "judge", "score", *judge_options(judge, "demo")], after=[judge, answers], gpus=0)

Owns the servers' command lines and the options by which tasks ask them. The scheduler starts and stops a service; it listens on
this machine only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.identity import DEMO_VARIANTS, resolve_model
from engine.judges.settings import SERVER
from gpu_graph import Graph, Task

_HOST = ("--host", "127.0.0.1", "--port", "@{port}")


def vllm_judge(
    graph: Graph,
    model: str,
    *,
    id: str = "judge",
    gpus: int = 1,
    start_timeout: str = "30m",
    options: Sequence[str | float] = (),
    program: str = "vllm",
    **task: Any,
) -> Task:
    """`vllm serve`, behind a key of its own. model: a folder or a hub id, whose weights may have to be downloaded first: hence
    the long start_timeout. options: further words of its command line (`--max-model-len 8192`); program: where vllm is
    installed, when that is not this environment; task: what every task takes (gpu_memory=…, env_from=["HF_TOKEN"], …).
    """
    folder, name = _place(model)
    parallel = ("--tensor-parallel-size", gpus) if gpus > 1 else ()
    command = [program, "serve", str(folder or model), "--served-model-name", name, *_HOST, *parallel, *options]
    return graph.service(id, command, ready="/health", start_timeout=start_timeout, key_env="VLLM_API_KEY", gpus=gpus, **task)


def transformers_judge(
    graph: Graph,
    model: str = "demo",
    *,
    id: str = "judge",
    gpus: int = 0,
    start_timeout: str = "10m",
    options: Sequence[str | float] = (),
    **task: Any,
) -> Task:
    """`transformers serve`: comes with tiller, runs on a CPU too, slower than vLLM, and takes no key. model: 'demo',
    'demo-base', a folder or a hub id. It starts beside the model's folder, since it has to be asked by the words it was
    started with.
    """
    folder, name = _place(model)
    device = ("--device", "cpu") if gpus == 0 else ()
    if folder is not None:
        task = {"cwd": folder.parent, "env": {"HF_HUB_OFFLINE": "1"}} | task  # a folder needs no hub
    command = ["transformers", "serve", name, *_HOST, *device, *options]
    return graph.service(id, command, ready="/health", start_timeout=start_timeout, gpus=gpus, **task)


def judge_options(judge: Task, model: str, revision: str | None = None) -> list[str]:
    """The options that make `tiller judge …` and `tiller steer …` ask this service. model: the one that it was made with.
    revision: what tells it from others of its name; of a folder a hash of its files, which takes a minute for 100 GB or so:
    more than `build()` has (TILLER_BUILD_SECONDS), so name one for such folders, a commit or a date.
    """
    key = "".join(character if character.isalnum() else "_" for character in judge.id.upper())
    return ["--judge", f"@{{{judge.id}.url}}/v1", *_identity(model, revision), "--judge-key", f"TILLER_KEY_{key}"]


def judge_name(model: str, revision: str | None = None) -> list[str]:
    """The options for steps that only show what this service has judged (`tiller steer plot`, `report`): they need no server
    and do not wait for one. model, revision: as in `judge_options`."""
    return ["--judge", SERVER, *_identity(model, revision)]


def _identity(model: str, revision: str | None) -> list[str]:
    """What scorers' names are made of."""
    folder, name = _place(model)
    if revision is None and folder is not None:
        revision = resolve_model(model).identity
    return ["--judge-model", name, *(["--judge-revision", revision] if revision else [])]


def _place(model: str) -> tuple[Path | None, str]:
    """The folder of a model (None: of the hub) and its name at the server: no path, as it is part of scorers' names."""
    if model in DEMO_VARIANTS:
        from engine.demo.weights import weights_path

        folder = weights_path(DEMO_VARIANTS[model])
        return folder, folder.name
    folder = Path(model).expanduser()
    return (folder.resolve(), folder.resolve().name) if folder.is_dir() else (None, model)
