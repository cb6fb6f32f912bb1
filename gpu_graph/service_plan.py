"""What a graph's shape says about its services: who needs them, which must be up together, what must run meanwhile.

Pure functions of a GraphSpec, computed once per run. A service is up from before its first dependent starts until its last
one has ended, so whatever that last one waits for must be able to run meanwhile: its ancestors, and for each of those that
needs another service, that service and all *its* dependents. `Cluster` is that closure. Services whose closures hold each
other are one cluster, since none of them can end before the others have been up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpu_graph.placement import Inventory, Need, count_of, gib, need_of
from gpu_graph.room import fits
from gpu_graph.spec import GraphSpec


@dataclass(frozen=True, slots=True)
class Cluster:
    """services: those that must be able to be up together. members: all that must be able to run while they are, and they.

    members holds the members of every cluster that a member service is in.
    """

    services: tuple[str, ...]
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """needs: task → the services it comes after (tasks without any are left out). users: service → the tasks after it."""

    needs: Mapping[str, tuple[str, ...]]
    users: Mapping[str, tuple[str, ...]]
    clusters: tuple[Cluster, ...]
    cluster_of: Mapping[str, int]

    @classmethod
    def of(cls, graph: GraphSpec) -> ServicePlan:
        """The graph must be sound: every name in `after` known, and no circle."""
        services = [task.id for task in graph.tasks if task.kind == "service"]
        if not services:
            return _NONE
        known = set(services)
        after = {task.id: tuple(dict.fromkeys(task.after)) for task in graph.tasks}
        needs = {name: wanted for name, of in after.items() if (wanted := tuple(one for one in of if one in known))}
        users: dict[str, list[str]] = {name: [] for name in services}
        for name, wanted in needs.items():
            for service in wanted:
                users[service].append(name)
        clusters = _clusters(services, after, needs, users)
        cluster_of = {name: at for at, cluster in enumerate(clusters) for name in cluster.services}
        return cls(needs, {name: tuple(of) for name, of in users.items()}, clusters, cluster_of)


_NONE = ServicePlan({}, {}, (), {})


def room_problems(graph: GraphSpec, inventory: Inventory, allowed: frozenset[str] | None = None) -> list[str]:
    """Services that can never be up on this host together with a task that must run meanwhile. The graph must be sound.

    A task that only *may* have to run meanwhile (an ancestor of one dependent, independent of the service) is no problem: such
    a service waits until that task has ended.
    """
    plan = ServicePlan.of(graph)
    if not plan.clusters:
        return []
    specs = {task.id: task for task in graph.tasks}
    dependents: dict[str, list[str]] = {}
    for task in graph.tasks:
        for name in task.after:
            dependents.setdefault(name, []).append(task.id)
    everything = {device.id for device in (*inventory.gpus, *inventory.slots)}
    problems: list[str] = []
    for cluster in plan.clusters:
        # All that is left of the cluster when everything has ended that can end before its services start: if that does not
        # fit, `Room.verdict` will never let them in.
        left = [name for name in _descendants(cluster.services, dependents) if name in cluster.members]
        services = [name for name in left if name in plan.users]
        up = [need_of(specs[name], inventory, allowed) for name in services]
        verdicts: dict[Need, bool] = {}
        for name in left:
            need = need_of(specs[name], inventory, allowed)
            if name not in plan.users and need not in verdicts:
                verdicts[need] = fits([*up, need], everything, inventory)
                if not verdicts[need]:
                    problems.append(_no_room(services, up, name, need, inventory))
    return problems


def _clusters(
    services: Sequence[str],
    after: Mapping[str, Sequence[str]],
    needs: Mapping[str, Sequence[str]],
    users: Mapping[str, Sequence[str]],
) -> tuple[Cluster, ...]:
    walks = {service: _walk(service, after, needs, users) for service in services}
    reach = {service: {name for name in walks[service] if name in users} for service in services}
    for between in services:  # Warshall: the walks leave out what comes before the service itself, so they are not transitive
        for service in services:
            if between in reach[service]:
                reach[service] |= reach[between]
    clusters: list[Cluster] = []
    placed: set[str] = set()
    for service in services:
        if service not in placed:
            together = tuple(name for name in services if name in reach[service] and service in reach[name])
            placed.update(together)
            members = frozenset(member for name in reach[service] for member in walks[name])
            clusters.append(Cluster(together, members))
    return tuple(clusters)


def _walk(
    service: str, after: Mapping[str, Sequence[str]], needs: Mapping[str, Sequence[str]], users: Mapping[str, Sequence[str]]
) -> set[str]:
    """The service, its dependents, what they wait for, and the same of each other service that is met.

    What the service itself waits for is over when it starts, except the services it needs.
    """
    members = {service}
    todo = [*users[service], *needs.get(service, ())]
    while todo:
        name = todo.pop()
        if name not in members:
            members.add(name)
            todo += after[name]
            todo += users.get(name, ())
    return members


def _descendants(names: Sequence[str], dependents: Mapping[str, Sequence[str]]) -> list[str]:
    found = dict.fromkeys(names)
    for name in (walk := list(names)):  # grows while it is walked
        for dependent in dependents.get(name, ()):
            if dependent not in found:
                found[dependent] = None
                walk.append(dependent)
    return list(found)


def _no_room(services: Sequence[str], up: Sequence[Need], task: str, need: Need, inventory: Inventory) -> str:
    kinds = (("GPU", True, inventory.gpus), ("CPU slot", False, inventory.slots))
    needs = [*up, need]
    for noun, on_gpus, devices in kinds:
        count = sum(one.count for one in needs if one.on_gpus is on_gpus)
        within = sum(need.allowed is None or device.id in need.allowed for device in devices)
        if count > within:
            lack = f"that needs {count_of(count, noun)}, this host has {within}"
            break
    else:
        largest = max(one.memory for one in needs)
        lack = f"this host has too few GPUs with the memory that they ask for (up to {gib(largest)})"
    named = ", ".join(repr(name) for name in services)
    must = f"service {named} must be up" if len(services) == 1 else f"services {named} count as up at the same time"
    return f"{must} while task {task!r} runs: {lack}; ask for less"
