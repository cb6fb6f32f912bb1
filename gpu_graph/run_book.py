"""What the scheduler keeps beside a run's state, so that it never scans a run: edges, counters, and who wants which service.

Everything here is derived from the graph and the state, and can be built anew from them; `RunBook(state, …)` does. It
decides nothing. A dependency on a task is met for good once that task is good; one on a service only while the service is
ready, so the two are counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from gpu_graph.placement import Inventory, Need, need_of
from gpu_graph.service_plan import ServicePlan
from gpu_graph.state import ACTIVE, ENDED, GOOD, RunState, TaskState

Key = tuple[str, str, int]
"""run id, task id, attempt number."""


class RunBook:
    """position: of each task in the graph. missing: how many tasks, services aside, each task still waits for.

    wanted: for each service its dependents that have not ended. calls: those of them that could start, or go on, if only it
    were ready; a service among them counts once it is itself called or up. unfinished, coming: for each cluster of the plan
    the needs of its unfinished tasks, and its unfinished services. quarantined: lost tasks whose devices are not free yet.
    """

    def __init__(self, state: RunState, order: int, allowed: frozenset[str] | None, inventory: Inventory) -> None:
        self.state = state
        self.order = order
        self.allowed = allowed
        self._inventory = inventory
        self.plan = ServicePlan.of(state.graph)
        self.position = {name: at for at, name in enumerate(state.tasks)}
        self.quarantined: set[str] = set()
        self.missing: dict[str, int] = {}
        self.dependents: dict[str, list[str]] = {}
        services = self.plan.users
        for name, task in state.tasks.items():
            needs = set(task.spec.after)
            self.missing[name] = sum(state.tasks[need].state not in GOOD for need in needs if need not in services)
            for need in needs:
                self.dependents.setdefault(need, []).append(name)
        self._count_for_services()

    def need(self, name: str) -> Need:
        return need_of(self.state.tasks[name].spec, self._inventory, self.allowed)

    def is_service(self, name: str) -> bool:
        return name in self.plan.users

    def startable(self, name: str) -> bool:
        """Whether nothing but devices keeps the task from starting; a service must also be called."""
        tasks = self.state.tasks
        if tasks[name].state is not TaskState.WAITING or self.missing[name] or self.calls.get(name) == 0:
            return False
        needs = self.plan.needs.get(name)
        return needs is None or all(tasks[service].ready for service in needs)

    def gone_service(self, name: str) -> str | None:
        """A service that the task needs and that will not be there any more."""
        return next((one for one in self.plan.needs.get(name, ()) if self.state.tasks[one].state in ENDED), None)

    def inside(self, name: str) -> bool:
        """Whether it is a service that has started at least once and has not ended."""
        task = self.state.tasks[name]
        return name in self.plan.users and task.attempt > 0 and task.state not in ENDED

    def in_use(self, service: str) -> bool:
        """Whether a dependent runs, which holds its address."""
        return any(self.state.tasks[name].state in ACTIVE for name in self.plan.users[service])

    def ports(self) -> Iterable[int]:
        """Those that the run's services have, or had and may get again."""
        return (port for name in self.plan.users if (port := self.state.tasks[name].port) is not None)

    def task_with(self, need: Need, service: str) -> str:
        """An unfinished task of the service's cluster with this need, no service."""
        members = self.plan.clusters[self.plan.cluster_of[service]].members - self.plan.users.keys()
        tasks = self.state.tasks
        return next(n for n in tasks if n in members and tasks[n].state not in ENDED and self.need(n) == need)

    # --- what changes ------------------------------------------------------------------------------------------------

    def recount(self, name: str) -> list[str]:
        """Count anew whether the task calls for its services, after it has changed; returns the services touched by that."""
        touched: list[str] = []
        todo = [name] if name in self.plan.needs else []
        for caller in todo:  # grows while it is walked
            calls = self._calls_now(caller)
            if calls is not (caller in self._calling):
                (self._calling.add if calls else self._calling.remove)(caller)
                for service in self.plan.needs[caller]:
                    self.calls[service] += 1 if calls else -1
                    touched.append(service)
                todo += (service for service in self.plan.needs[caller] if service in self.plan.needs)
        return touched

    def close_task(self, name: str) -> list[str]:
        """Take a task that has just ended out of all counts; returns the services that nothing needs any more."""
        if not self.plan.users:
            return []
        for at in self._clusters_of.get(name, ()):
            self._take_out(at, name)
        self.recount(name)
        unneeded: list[str] = []
        for service in self.plan.needs.get(name, ()):
            self.wanted[service] -= 1
            if not self.wanted[service]:
                unneeded.append(service)
        return unneeded

    def assert_sound(self, held: Collection[Key]) -> None:
        """What must always hold of a run that is scheduled, held: the attempts that hold devices. Tests call it."""
        tasks = self.state.tasks
        for name, task in tasks.items():
            if task.state in ACTIVE:
                assert (self.state.id, name, task.attempt) in held, "an active task holds nothing"
                needs = [tasks[need] for need in task.spec.after if not self.is_service(need)]
                assert all(need.state in GOOD for need in needs), "started before its dependencies"
            if name in self.quarantined:
                assert task.state is TaskState.LOST, "only lost attempts are in quarantine"
                assert (self.state.id, name, task.attempt) in held, "a quarantined attempt holds nothing"
        assert not self.state.ended or self.quarantined, "an ended run is still scheduled"
        fresh = RunBook(self.state, self.order, self.allowed, self._inventory)
        for name in ("missing", "wanted", "calls", "unfinished", "coming"):
            assert getattr(self, name) == getattr(fresh, name), f"{name} is wrong"

    def _take_out(self, at: int, name: str) -> None:
        if name in self.plan.users:
            self.coming[at].discard(name)
            return
        need = self.need(name)
        self.unfinished[at][need] -= 1
        if not self.unfinished[at][need]:
            del self.unfinished[at][need]

    def _count_for_services(self) -> None:
        tasks, plan = self.state.tasks, self.plan
        open_tasks = {name for name, task in tasks.items() if task.state not in ENDED} if plan.users else set[str]()
        self.wanted = {service: sum(name in open_tasks for name in users) for service, users in plan.users.items()}
        self.calls = dict.fromkeys(plan.users, 0)
        self._calling: set[str] = set()
        self._clusters_of: dict[str, list[int]] = {}
        self.unfinished: list[Counter[Need]] = [Counter() for _ in plan.clusters]
        self.coming: list[set[str]] = [set() for _ in plan.clusters]
        for at, cluster in enumerate(plan.clusters):
            for name in cluster.members & open_tasks:
                self._clusters_of.setdefault(name, []).append(at)
                if name in plan.users:
                    self.coming[at].add(name)
                else:
                    self.unfinished[at][self.need(name)] += 1
        for name in plan.needs:
            self.recount(name)

    def _calls_now(self, name: str) -> bool:
        state = self.state.tasks[name].state
        if state in ENDED or self.missing[name]:
            return False
        return self.calls.get(name) != 0 or state in ACTIVE
