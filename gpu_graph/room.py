"""Whether several needs fit on a host at once, and whether one more service may start: what keeps services from deadlock.

A task ends by itself and gives its devices back; a service keeps its devices until its dependents have ended, which may need
devices, and other services, themselves. So a service is only let in when, beside every service that is in already, all that
must be able to run until they are out still fits: each of those tasks, with all services that are still to come (`Cluster`
in `service_plan.py` says which). That holds for good: when one of those services comes later, it only takes what was
counted as its own. Pure; knows nothing of queues.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum
from typing import TYPE_CHECKING

from gpu_graph.placement import Inventory, Need, could_use

if TYPE_CHECKING:
    from gpu_graph.run_book import RunBook


class Verdict(Enum):
    """ALONE: a task of its own run would not fit beside it, and must end first. BESIDE: so must other services."""

    FITS = 1
    ALONE = 2
    BESIDE = 3


def fits(needs: Iterable[Need], available: Collection[str], inventory: Inventory) -> bool:
    """Whether all needs can be met at once. Exact for needs with one and the same `allowed`.

    The devices that a need can use are those with enough memory, so these sets lie within each other: it suffices to count.
    """
    by_memory = sorted(needs, key=lambda need: -need.memory)
    for on_gpus in (True, False):
        wanted = 0
        for need in by_memory:
            if need.on_gpus is on_gpus:
                wanted += need.count
                if wanted > len(could_use(need, available, inventory)):
                    return False
    return True


class Room:
    """The services that are in: started at least once and not ended, of all runs. One that waits to be started again is in."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._everything = {device.id for device in (*inventory.gpus, *inventory.slots)}
        self.inside: dict[tuple[str, str], RunBook] = {}

    def beside_services(self) -> set[str]:
        """The devices that no service holds; whoever holds them now gives them back by itself."""
        return self._everything.difference(*(run.state.tasks[name].devices for (_, name), run in self.inside.items()))

    def runs_inside(self) -> set[str]:
        return {run_id for run_id, _ in self.inside}

    def verdict(self, run: RunBook, service: str, devices: Collection[str] = ()) -> Verdict:
        """Whether the service may come in, on these devices or, when none are named, on any that no service holds."""
        if (run.state.id, service) in self.inside:
            return Verdict.FITS
        if self.tight_need(run, service) is not None:
            return Verdict.ALONE
        # Needs of runs with different chosen devices could not be counted the simple way: such runs take turns.
        if any(other.allowed != run.allowed for other in self.inside.values()):
            return Verdict.BESIDE
        clusters = {(run_id, book.plan.cluster_of[name]): book for (run_id, name), book in self.inside.items()}
        clusters[run.state.id, run.plan.cluster_of[service]] = run
        to_come: dict[tuple[str, str], Need] = {}
        tasks: dict[Need, None] = {}
        for (run_id, at), book in clusters.items():
            to_come.update(((run_id, name), book.need(name)) for name in book.coming[at] if not book.state.tasks[name].devices)
            tasks.update(dict.fromkeys(book.unfinished[at]))
        if devices:
            del to_come[run.state.id, service]
        available = self.beside_services().difference(devices)
        return Verdict.FITS if self._too_big(to_come.values(), tasks, available) is None else Verdict.BESIDE

    def tight_need(self, run: RunBook, service: str) -> Need | None:
        """The need of an unfinished task of its own run that would not fit beside it, even with no other service there."""
        at = run.plan.cluster_of[service]
        return self._too_big([run.need(name) for name in run.coming[at]], run.unfinished[at], self._everything)

    def _too_big(self, up: Iterable[Need], tasks: Iterable[Need], available: Collection[str]) -> Need | None:
        up = list(up)
        return next((need for need in tasks if not fits([*up, need], available, self._inventory)), None)
