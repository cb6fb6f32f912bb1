"""What this host has to run on: NVIDIA GPUs through NVML, pretend GPUs for trials and tests, and CPU slots.

Owns discovery and readings. It does not know who holds a device. NVML is asked once at start whether it is there; a host
without a driver simply has no GPUs.
"""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# NVML's binding has no types; what leaves this file is typed.

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pynvml

from gpu_graph.errors import ServerError
from gpu_graph.placement import Device, Inventory

_FAKE_MEMORY = 80 * 2**30
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a GPU; None where the device does not say. memory_used: bytes, busy: percent, temperature: °C, power: W."""

    memory_used: int | None = None
    busy: int | None = None
    temperature: int | None = None
    power: float | None = None


class Provider(Protocol):
    """Where GPUs come from."""

    def gpus(self) -> tuple[Device, ...]: ...

    def reading(self, gpu: Device) -> Reading: ...


class NoGpus:
    """A host without a usable NVIDIA driver; `why` is what NVML said."""

    def __init__(self, why: str) -> None:
        self.why = why

    def gpus(self) -> tuple[Device, ...]:
        return ()

    def reading(self, gpu: Device) -> Reading:
        raise KeyError(gpu.id)


class FakeGpus:
    """`count` idle pretend GPUs of 80 GiB, with the ids GPU-fake-0, GPU-fake-1, …"""

    def __init__(self, count: int) -> None:
        self._count = count

    def gpus(self) -> tuple[Device, ...]:
        return tuple(Device(f"GPU-fake-{index}", index, "pretend GPU", _FAKE_MEMORY) for index in range(self._count))

    def reading(self, gpu: Device) -> Reading:  # noqa: ARG002  # all are alike
        return Reading(memory_used=0, busy=0, temperature=30, power=50.0)


class NvmlGpus:
    """The GPUs that NVML lists, by UUID. The caller has initialised NVML."""

    def gpus(self) -> tuple[Device, ...]:
        found: list[Device] = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
            found.append(Device(str(pynvml.nvmlDeviceGetUUID(handle)), index, str(pynvml.nvmlDeviceGetName(handle)), memory))
        return tuple(found)

    def reading(self, gpu: Device) -> Reading:
        handle = _supported(lambda: pynvml.nvmlDeviceGetHandleByUUID(gpu.id))
        if handle is None:  # it has fallen off the bus since we listed it
            return Reading()
        power = _supported(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        return Reading(
            memory_used=_supported(lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)),
            busy=_supported(lambda: int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
            temperature=_supported(lambda: int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))),
            power=None if power is None else power / 1000,
        )


def find_provider(environment: Mapping[str, str]) -> Provider:
    """Pretend GPUs when TILLER_FAKE_GPUS says so, else NVML's, else none. Raises ServerError for a value that is no count."""
    said = environment.get("TILLER_FAKE_GPUS", "")
    if said:
        if not said.isdecimal():
            raise ServerError(f"TILLER_FAKE_GPUS={said!r} is not a number of GPUs; write for example TILLER_FAKE_GPUS=8")
        return FakeGpus(int(said))
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return NoGpus(str(error))
    return NvmlGpus()


def find_inventory(provider: Provider, environment: Mapping[str, str]) -> Inventory:
    """The provider's GPUs and TILLER_CPU_SLOTS (default: cores this process may use) CPU slots. Raises ServerError."""
    said = environment.get("TILLER_CPU_SLOTS") or str(len(os.sched_getaffinity(0)))
    if not said.isdecimal() or int(said) < 1:
        raise ServerError(f"TILLER_CPU_SLOTS={said!r} is not a number of at least 1; unset it to use every core")
    try:
        gpus = provider.gpus()
    except pynvml.NVMLError as error:
        raise ServerError(
            f"NVML cannot list the GPUs: {error}; look at nvidia-smi, and at dmesg for a GPU that is lost"
        ) from None
    return Inventory.of(gpus, int(said))


def _supported(ask: Callable[[], _T]) -> _T | None:
    try:
        return ask()
    except pynvml.NVMLError:
        return None
