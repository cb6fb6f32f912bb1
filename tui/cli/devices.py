"""`tiller devices [--json]`: GPUs and CPU slots, and what holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gpu_graph.client import Client
from gpu_graph.placement import gib
from tui.cli.arguments import parser


def main(argv: list[str]) -> int:
    options = parser("devices", "The devices of this host and what holds them.")
    options.add_argument("--json", action="store_true", help="for programs; memory in bytes, power in W")
    arguments = options.parse_args(argv)
    with Client.connect() as client:
        devices = client.request("devices")
    if arguments.json:
        print(json.dumps(devices, indent=1))
        return 0
    for gpu in devices["gpus"]:
        used = "?" if gpu["memory_used"] is None else gib(gpu["memory_used"])
        readings = [f"{used} of {gib(gpu['memory'])}"]
        readings += [f"{gpu['busy']} %"] if gpu["busy"] is not None else []
        readings += [f"{gpu['temperature']} °C"] if gpu["temperature"] is not None else []
        readings += [f"{gpu['power']:.0f} W"] if gpu["power"] is not None else []
        print(f"GPU {gpu['index']:<3} {gpu['name']:<24} {'  '.join(readings):<40} {_held(gpu)}")
    if not devices["gpus"]:
        print("no GPUs here: tasks take CPU slots")
    busy = [slot for slot in devices["slots"] if slot["holder"]]
    print(f"CPU slots: {len(devices['slots'])}, {len(busy)} held")
    for slot in busy:
        print(f"  {slot['id']:<6} {_held(slot)}")
    return 0


def _held(device: Mapping[str, Any]) -> str:
    holder = device["holder"]
    return f"{holder['task']} of {holder['run']}" if holder else "free"
