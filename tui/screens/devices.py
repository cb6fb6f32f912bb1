"""GPUs and CPU slots: readings, and who holds them."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from tui.actions import Situation
from tui.models import devices
from tui.models.text import line
from tui.screens.base import ConsoleScreen, bindings
from tui.screens.log import LogScreen
from tui.widgets.painted import Painted
from tui.widgets.table import Table


class DevicesScreen(ConsoleScreen[None]):
    CONTEXT = "devices"
    BINDINGS = bindings(CONTEXT)

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[str] = []

    def body(self) -> Iterable[Widget]:
        yield Table(devices.COLUMNS, id="devices", empty=devices.LOADING)
        yield Painted(id="detail")

    def path(self) -> list[str]:
        return ["devices"]

    def title_line(self) -> tuple[str, str, str]:
        return "DEVICES", devices.headline(self.console.world.devices), ""

    def situation(self) -> Situation:
        held = devices.holder(self.console.world.devices, self.table.key)
        return Situation(connected=self.console.connected, rows=int(held is not None))

    def want(self) -> None:
        self.console.want_devices(readings=True)

    def draw(self) -> None:
        known = self.console.world.devices
        keys = devices.keys(known)
        if keys != self._keys:
            self._keys = keys
        self.table.show(self._keys, lambda key: devices.cells(known, key))
        panel = self.query_one("#detail", Painted)
        panel.paint([line(), *devices.detail(known, self.table.key, panel.size.width)] if keys else [])

    def do_open(self) -> None:
        held = devices.holder(self.console.world.devices, self.table.key)
        if held is None:
            return
        if held[0] in self.console.world.runs:
            self.console.enter(LogScreen(*held))
        else:
            self.console.say(f"run {held[0]} belongs to another workspace")
