"""Which devices a task gets: pure functions of needs and of what is free.

A task with gpus ≥ 1 holds that many whole GPUs. On a host without GPUs it takes CPU slots instead, as a CPU task always
does: max(cpus, gpus) of them. It does not know the queue; who goes first is the scheduler's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from gpu_graph.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU (id = its UUID, index = NVML's, memory in bytes) or a CPU slot (id "cpu-0", …, memory 0)."""

    id: str
    index: int
    name: str = ""
    memory: int = 0


@dataclass(frozen=True)
class Inventory:
    """What a host has. CPU slots always exist, beside GPUs too."""

    gpus: tuple[Device, ...] = ()
    slots: tuple[Device, ...] = ()
    memory_of: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory_of", {gpu.id: gpu.memory for gpu in self.gpus})

    @classmethod
    def of(cls, gpus: Iterable[Device], slots: int) -> Inventory:
        return cls(tuple(gpus), tuple(Device(f"cpu-{index}", index, "CPU slot") for index in range(slots)))


@dataclass(frozen=True, slots=True)
class Need:
    """What one attempt holds: `count` devices of one kind, each with `memory` bytes, out of `allowed` (None: any)."""

    on_gpus: bool
    count: int
    memory: int = 0
    allowed: frozenset[str] | None = None


def need_of(task: TaskSpec, inventory: Inventory, allowed: frozenset[str] | None = None) -> Need:
    """On a CPU slot gpu_memory has no meaning and is ignored."""
    if task.gpus and inventory.gpus:
        return Need(True, task.gpus, task.gpu_memory or 0, allowed)
    return Need(False, max(task.cpus, task.gpus), 0, None if inventory.gpus else allowed)


def why_never(need: Need, inventory: Inventory) -> str | None:
    """Why this host can never meet the need, or None when it can."""
    devices = inventory.gpus if need.on_gpus else inventory.slots
    within = [device for device in devices if need.allowed is None or device.id in need.allowed]
    kind = "GPU" if need.on_gpus else "CPU slot"
    if need.count > len(within):
        chosen = "" if need.allowed is None else " among the chosen ones"
        return f"needs {count_of(need.count, kind)}, this host has {len(within)}{chosen}; ask for less"
    if need.on_gpus and need.count > sum(device.memory >= need.memory for device in within):
        largest = max(device.memory for device in within)
        return f"needs {gib(need.memory)} on {count_of(need.count, kind)}; the largest has {gib(largest)}"
    return None


def place(need: Need, free: Collection[str], inventory: Inventory) -> tuple[str, ...] | None:
    """The devices to hold, lowest index first, or None while too few are free."""
    chosen: list[str] = []
    for device in inventory.gpus if need.on_gpus else inventory.slots:
        if device.id in free and (need.allowed is None or device.id in need.allowed) and device.memory >= need.memory:
            chosen.append(device.id)
            if len(chosen) == need.count:
                return tuple(chosen)
    return None


def place_frugally(need: Need, usable: Collection[str], inventory: Inventory) -> tuple[str, ...] | None:
    """As `place`, but those with the least memory: for what stays long, so that it leaves the large ones to others."""
    found = sorted(could_use(need, usable, inventory), key=lambda device: (device.memory, device.index))
    return tuple(device.id for device in found[: need.count]) if len(found) >= need.count else None


def could_use(need: Need, among: Collection[str], inventory: Inventory) -> list[Device]:
    """The devices among these that could serve the need."""
    return [
        device
        for device in (inventory.gpus if need.on_gpus else inventory.slots)
        if device.id in among and (need.allowed is None or device.id in need.allowed) and device.memory >= need.memory
    ]


def waiting_reason(need: Need, free: Collection[str], inventory: Inventory) -> str:
    """Why a task whose dependencies are done has not started, in a person's words."""
    devices = inventory.gpus if need.on_gpus else inventory.slots
    usable = [device for device in devices if need.allowed is None or device.id in need.allowed]
    if place(need, free, inventory) is not None:
        return "waits its turn: what comes before it needs more room"
    idle = sum(device.id in free for device in usable)
    return f"needs {count_of(need.count, 'GPU' if need.on_gpus else 'CPU slot')}, {idle} of {len(usable)} free"


def gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def count_of(number: int, noun: str) -> str:
    """1 GPU, 2 GPUs."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
