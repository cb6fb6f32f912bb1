"""How a service's address reaches its dependents: `@{judge.url}` in what they run, `TILLER_URL_JUDGE` in their environment.

Pure text. `@{port}` is the service's own word for its port. Keys travel in the environment only: a command line can be seen
by everybody on the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from gpu_graph.spec import TaskSpec

PORT_WORD = "@{port}"
_URL_WORD = re.compile(r"@\{([A-Za-z0-9_][A-Za-z0-9_.=+-]{0,99})\.url\}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service answers. key: what it asks its callers for, or None."""

    port: int
    key: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def url_of(port: int | None) -> str | None:
    return None if port is None else Address(port).url


def variable_part(service: str) -> str:
    """What follows `TILLER_URL_` and `TILLER_KEY_`."""
    return re.sub(r"[^A-Z0-9_]", "_", service.upper())


def url_words(task: TaskSpec) -> Iterator[str]:
    """The services whose `@{….url}` occurs in what the task runs."""
    for text in _texts([task.command, dict(task.env), dict(task.kwargs)]):
        yield from _URL_WORD.findall(text)


def addressed(task: TaskSpec, own: Address | None, services: Mapping[str, Address]) -> TaskSpec:
    """The task with its words replaced. own: a service's own address; services: of those that it comes after."""
    if own is None and not services:
        return task
    said = {"command": task.command, "env": dict(task.env), "kwargs": dict(task.kwargs)}
    filled: dict[str, Any] = {name: _filled(value, own, services) for name, value in said.items()}
    return TaskSpec.from_json({**task.to_json(), **filled})


def address_variables(task: TaskSpec, own: Address | None, services: Mapping[str, Address]) -> dict[str, str]:
    """What the task's environment says of services."""
    variables = {f"TILLER_URL_{variable_part(name)}": address.url for name, address in services.items()}
    variables |= {f"TILLER_KEY_{variable_part(name)}": one.key for name, one in services.items() if one.key is not None}
    if own is not None:
        variables["TILLER_PORT"] = str(own.port)
        if task.key_env is not None and own.key is not None:
            variables[task.key_env] = own.key
    return variables


def _filled(value: Any, own: Address | None, services: Mapping[str, Address]) -> Any:
    """Every text in a JSON value with its words replaced, keys of objects left as they are."""
    if isinstance(value, str):
        if own is not None:
            value = value.replace(PORT_WORD, str(own.port))
        return _URL_WORD.sub(lambda match: services[match[1]].url, value)
    if isinstance(value, dict):
        return {key: _filled(item, own, services) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_filled(item, own, services) for item in cast("list[Any]", value)]
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(cast("dict[str, Any]", value).values()))
    elif isinstance(value, (list, tuple)):
        for item in cast("list[Any]", value):
            yield from _texts(item)
