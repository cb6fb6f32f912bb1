"""The tasks that could start if only devices were free, and which of them start now. Pure.

Tasks with the same need wait in one heap, so a look at what comes next is a look at the head of each heap. Services wait in a
list of their own: there are few, and each must also be let in (`room.py`). An entry that has become untrue since it was
made (its task was cancelled, a service that it needs has died) is dropped when it comes up; whoever makes it true again
adds it again.
"""

from __future__ import annotations

import heapq
import sys
from bisect import insort
from collections.abc import Iterator, Mapping

from gpu_graph.placement import Inventory, Need, could_use, place, place_frugally
from gpu_graph.room import Room, Verdict
from gpu_graph.run_book import RunBook

Entry = tuple[int, int, int, str, str]
"""(−priority, run order, task order, run id, task id)."""


class ReadyQueue:
    """In order: higher priority first, then the earlier run, and in a run its services before its tasks.

    A service that was up before goes first of all: tasks that run may be waiting for its answer.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._tasks: dict[Need, list[Entry]] = {}
        self._services: list[Entry] = []

    def add(self, run: RunBook, name: str) -> None:
        task = run.state.tasks[name]
        position, priority = run.position[name], -task.spec.priority
        if run.is_service(name):
            entry = (-sys.maxsize if task.attempt else priority, run.order, position - len(run.position), run.state.id, name)
            if entry not in self._services:
                insort(self._services, entry)
        else:
            heap = self._tasks.setdefault(run.need(name), [])
            heapq.heappush(heap, (priority, run.order, position, run.state.id, name))

    def starts(self, runs: Mapping[str, RunBook], free: set[str], room: Room) -> Iterator[tuple[RunBook, str, tuple[str, ...]]]:
        """What starts now, on which devices; the caller starts each before it asks for the next.

        A head that does not fit keeps the free devices that it could use. One that cannot fit before a service ends keeps
        nothing, or the service's dependents could never run; but no service of a later turn is let in before it.
        """
        usable = set(free)
        open_needs = set(self._tasks)
        services = self._true_services(runs)[::-1]
        held_back = False
        while usable and (open_needs or services):
            need = min(open_needs, key=lambda candidate: self._tasks[candidate][0]) if open_needs else None
            if services and (need is None or services[-1] < self._tasks[need][0]):
                entry = services.pop()
                run, name = runs[entry[3]], entry[4]
                if held_back and entry[3] not in room.runs_inside():
                    continue
                devices, verdict = self._place_service(run, name, usable, room)
                if devices:
                    self._services.remove(entry)
                    usable -= set(devices)
                    yield run, name, devices
                elif verdict is Verdict.FITS:
                    usable.difference_update(device.id for device in could_use(run.need(name), usable, self._inventory))
                else:
                    held_back |= verdict is Verdict.BESIDE
            elif need is not None:
                heap = self._tasks[need]
                run, name = runs.get(heap[0][3]), heap[0][4]
                if run is None or not run.startable(name):
                    heapq.heappop(heap)
                elif (devices := place(need, usable, self._inventory)) is not None:
                    heapq.heappop(heap)
                    usable -= set(devices)
                    yield run, name, devices
                else:
                    open_needs.discard(need)
                    if not room.inside or place(need, room.beside_services(), self._inventory) is not None:
                        usable.difference_update(device.id for device in could_use(need, usable, self._inventory))
                    else:
                        held_back = True
                if not heap:
                    open_needs.discard(need)
                    del self._tasks[need]

    def _true_services(self, runs: Mapping[str, RunBook]) -> list[Entry]:
        if self._services:
            self._services = [entry for entry in self._services if entry[3] in runs and runs[entry[3]].startable(entry[4])]
        return self._services

    def _place_service(self, run: RunBook, name: str, usable: set[str], room: Room) -> tuple[tuple[str, ...], Verdict]:
        """Its devices, or none and why: it may come in but they are not free now, or it may not come in."""
        need = run.need(name)
        if (verdict := room.verdict(run, name)) is Verdict.FITS:
            devices = place_frugally(need, usable, self._inventory)
            if devices and room.verdict(run, name, devices) is Verdict.FITS:
                return devices, verdict
        return (), verdict
