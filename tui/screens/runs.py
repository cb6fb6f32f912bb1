"""The list of runs, with a preview of the one that the cursor is on. The console's top level."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from tui.actions import Situation
from tui.models import runs
from tui.models.world import Run
from tui.screens.base import ConsoleScreen, bindings
from tui.screens.cancel import cancel
from tui.screens.files import FilesScreen
from tui.screens.tasks import TasksScreen
from tui.widgets.painted import Painted
from tui.widgets.table import Table

_LEAST_PREVIEW = 9


class RunsScreen(ConsoleScreen[None]):
    CONTEXT = "runs"
    BINDINGS = bindings(CONTEXT)

    def body(self) -> Iterable[Widget]:
        yield Table(runs.COLUMNS, id="runs", empty=runs.LOADING)
        yield Painted(id="preview")

    @property
    def selected(self) -> Run | None:
        return self.console.world.runs.get(self.table.key or "")

    def title_line(self) -> tuple[str, str, str]:
        at, total = self.table.position
        return "RUNS", str(self.console.world.workspace), f"{at} of {total:,}" if total else ""

    def situation(self) -> Situation:
        return Situation(self.selected, None, self.console.connected, self.table.position[1])

    def want(self) -> None:
        if (run := self.selected) is not None:
            self.console.want_tasks(run)

    def draw(self) -> None:
        world, now, table = self.console.world, self.console.now(), self.table
        keys = runs.order(world)
        self._share_height(len(keys))
        if world.loaded:
            table.empty = runs.EMPTY
        elif self.console.lost_at is not None:
            table.empty = runs.without_server(self.console.problem, table.size.width)
        else:
            table.empty = runs.LOADING
        table.show(keys, lambda key: runs.cells(world.runs[key], now))
        preview = self.query_one("#preview", Painted)
        lines = runs.preview(world, self.selected, now, preview.size.width, preview.size.height - 1)
        preview.paint([runs.line(), *lines])

    def _share_height(self, rows: int) -> None:
        """The list takes what it needs and leaves the preview its least; the preview gets the rest."""
        body = self.console.size.height - 3
        wanted = min(max(rows, 4) + 1, max(body - _LEAST_PREVIEW, body // 2)) if rows else body
        if self.table.styles.height is None or self.table.styles.height.value != wanted:
            self.table.styles.height = wanted
            self.query_one("#preview").styles.height = max(body - wanted, 0)

    def on_mount(self) -> None:
        super().on_mount()
        self._share_height(len(self.console.world.runs))

    def on_resize(self) -> None:
        self._share_height(len(self.console.world.runs))

    def do_open(self) -> None:
        if (run := self.selected) is not None:
            self.console.enter(TasksScreen(run.id))

    def do_launch(self) -> None:
        self.console.enter(FilesScreen())

    def do_cancel(self) -> None:
        if (run := self.selected) is not None:
            cancel(self.console, run, None)

    def do_leave(self) -> None:
        self.console.leave()
