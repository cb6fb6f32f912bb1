"""Choosing a run file to launch."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from gpu_graph.errors import GraphError
from tui.actions import Situation
from tui.models import launch
from tui.models.text import Tone, line
from tui.screens.base import ConsoleScreen, bindings
from tui.screens.form import FormScreen
from tui.widgets.painted import Painted
from tui.widgets.table import Table


class FilesScreen(ConsoleScreen[None]):
    CONTEXT = "files"
    BINDINGS = bindings(CONTEXT)

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, launch.FoundFile] | None = None
        self._keys: list[str] = []

    def body(self) -> Iterable[Widget]:
        yield Table(launch.FILE_COLUMNS, id="files", empty=launch.LOOKING)
        yield Painted(id="detail")

    def on_screen_resume(self) -> None:
        workspace = self.console.world.workspace
        self.console.in_background("run files", lambda: launch.find_run_files(workspace), self._listed, self._failed)
        super().on_screen_resume()

    def path(self) -> list[str]:
        return ["launch"]

    def title_line(self) -> tuple[str, str, str]:
        at, total = self.table.position
        return "LAUNCH", "choose a run file", f"{at} of {total}" if total else ""

    def situation(self) -> Situation:
        return Situation(connected=self.console.connected, rows=len(self._keys))

    def draw(self) -> None:
        self.table.empty = launch.LOOKING if self._found is None else launch.NO_FILES
        found = self._found or {}
        self.table.show(self._keys, lambda key: launch.file_cells(found[key]))
        panel, chosen = self.query_one("#detail", Painted), found.get(self.table.key or "")
        width, height = panel.size
        panel.paint([line(), *launch.file_detail(chosen, width, height - 2)] if chosen else [])

    def do_open(self) -> None:
        found = (self._found or {}).get(self.table.key or "")
        if found is None:
            return
        if found.run_file is None:
            self.console.say(found.problem, Tone.ATTENTION)
        else:
            self.console.enter(FormScreen(found.run_file))

    def _listed(self, found: list[launch.FoundFile]) -> None:
        self._found = {file.path.name: file for file in found}
        self._keys = list(self._found)
        self.repaint()

    def _failed(self, error: GraphError) -> None:
        self._found = {}
        self.console.say(str(error), Tone.FAILED)
