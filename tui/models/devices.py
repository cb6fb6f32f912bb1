"""The rows of devices: GPUs with their readings, CPU slots, and who holds each."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_graph.errors import GraphError
from gpu_graph.run_folder import run_name
from tui.models import words
from tui.models.columns import Cell, Column
from tui.models.text import Line, Span, Tone, line
from tui.models.world import Devices, Gpu
from tui.safe_text import clean_name

_BAR = 8

COLUMNS = (
    Column("", 1, gap=1),
    Column("device", 6, right=True),
    Column("busy", _BAR + 6, drop=2, gap=1),
    Column("memory", _BAR + 6, drop=1),
    Column("°C", 3, right=True, drop=4),
    Column("W", 4, right=True, drop=5),
    Column("holds", 16, grow=1, most=80),
)
LOADING = (line(), line(("   Asking the server …", Tone.DONE)))


def keys(devices: Devices) -> list[str]:
    return [gpu.id for gpu in devices.gpus] + [name for name, _, _ in devices.slots]


def holder(devices: Devices, key: str | None) -> tuple[str, str] | None:
    """The run and task that hold a device."""
    return next((held for name, held in _holders(devices) if name == key), None)


def cells(devices: Devices, key: str) -> Sequence[Cell]:
    gpu = next((gpu for gpu in devices.gpus if gpu.id == key), None)
    held = holder(devices, key)
    letter: Span = ("R", Tone.RUNNING) if held else (words.ZERO, Tone.DONE)
    if gpu is None:
        index = next(index for name, index, _ in devices.slots if name == key)
        return letter, f"cpu {index}", "", "", "", "", _holding(held)
    return (
        letter,
        f"GPU {gpu.index}",
        _meter(None if gpu.busy is None else gpu.busy / 100, "" if gpu.busy is None else f"{gpu.busy:3} %"),
        _meter(_share(gpu), "" if gpu.memory_used is None else f"{words.gib(gpu.memory_used):>5}"),
        _reading(gpu.temperature),
        _reading(gpu.power),
        _holding(held),
    )


def headline(devices: Devices) -> str:
    """What there is: `8 × H100 80 GB, 5 busy   16 CPU slots, 2 busy`."""
    parts: list[str] = []
    for name in dict.fromkeys((gpu.name, gpu.memory) for gpu in devices.gpus):
        alike = [gpu for gpu in devices.gpus if (gpu.name, gpu.memory) == name]
        held = sum(gpu.holder is not None for gpu in alike)
        parts.append(f"{len(alike)} × {clean_name(name[0])} {words.gib(name[1])}, {held} busy")
    if devices.slots:
        parts.append(f"{words.plural(len(devices.slots), 'CPU slot')}, {devices.slots_busy} busy")
    return "   ".join(parts)


def detail(devices: Devices, key: str | None, width: int) -> list[Line]:
    held = holder(devices, key)
    gpu = next((gpu for gpu in devices.gpus if gpu.id == key), None)
    identity = key or ""
    if gpu is not None and width >= 60:
        identity = f"{gpu.id}   {clean_name(gpu.name)}, {words.gib(gpu.memory)}"
    lines = [line(" ", (identity, Tone.DONE))]
    if held:
        lines.append(line(f" held by {held[1]} of {held[0]}"))
    else:
        lines.append(line(" free"))
    return lines


def _holders(devices: Devices) -> list[tuple[str, tuple[str, str] | None]]:
    return [(gpu.id, gpu.holder) for gpu in devices.gpus] + [(name, held) for name, _, held in devices.slots]


def _holding(held: tuple[str, str] | None) -> Span | list[Span]:
    if held is None:
        return "free", Tone.DONE
    try:
        name = run_name(held[0])
    except GraphError:
        name = held[0]
    return [(held[1], Tone.PLAIN), ("  " + clean_name(name), Tone.DONE)]


def _meter(share: float | None, text: str) -> list[Span]:
    if share is None:
        return [(words.ZERO, Tone.DONE)]
    return [*words.bar(share, _BAR, Tone.RUNNING if share else Tone.DONE), (f" {text}", Tone.PLAIN if share else Tone.DONE)]


def _share(gpu: Gpu) -> float | None:
    return None if gpu.memory_used is None or not gpu.memory else gpu.memory_used / gpu.memory


def _reading(value: float | None) -> Span:
    return (words.ZERO, Tone.DONE) if value is None else (f"{value:.0f}", Tone.PLAIN)
