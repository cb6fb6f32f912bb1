"""One run's tasks as a tree; below, what there is to say of the selected one; beside, on wide terminals, its log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widget import Widget

from tui.actions import Situation
from tui.models import tasks
from tui.models.log_file import last_text
from tui.models.text import Tone, line
from tui.models.words import FAILURES
from tui.models.world import Run, Task
from tui.safe_text import clean_name
from tui.screens.base import ConsoleScreen, bindings
from tui.screens.cancel import cancel
from tui.screens.log import LogScreen
from tui.widgets.log import LogView
from tui.widgets.painted import Painted
from tui.widgets.table import Table

WIDE = 120
_LOADING = (line(), line("   Asking for its tasks …"))


class TasksScreen(ConsoleScreen[None]):
    CONTEXT = "tasks"
    BINDINGS = bindings(CONTEXT)

    def __init__(self, run_id: str, task_id: str | None = None) -> None:
        super().__init__()
        self._run_id = run_id
        self._first_task = task_id
        self._tree = tasks.TaskTree()
        self._last_lines: dict[Path, str] = {}

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="body"):
            yield Table(tasks.COLUMNS, id="tasks", empty=_LOADING)
            with Vertical(id="beside"):
                yield Painted(id="whose")
                yield LogView(id="log")
        yield Painted(id="detail")

    @property
    def run(self) -> Run | None:
        return self.console.world.runs.get(self._run_id)

    @property
    def chosen(self) -> Task | None:
        return self.console.world.tasks.get(self._run_id, {}).get(self.table.key or "")

    @property
    def _log_path(self) -> Path | None:
        return self.console.log_path(self._run_id, self.chosen)

    def path(self) -> list[str]:
        return [clean_name(self.run.name if self.run else self._run_id)]

    def title_line(self) -> tuple[str, str, str]:
        run = self.run
        if run is None:
            return "TASKS", "this run is there no more", ""
        return "TASKS", run.state, f"{run.ended:,} of {run.total:,} ended"

    def counted_runs(self) -> Iterable[Run]:
        return [self.run] if self.run else []

    def situation(self) -> Situation:
        return Situation(self.run, self.chosen, self.console.connected, self.table.position[1])

    def want(self) -> None:
        if (run := self.run) is not None:
            self.console.want_tasks(run)
        path = self._log_path
        if path is not None and path not in self._last_lines and self.chosen is not None and self.chosen.state in FAILURES:
            self.console.in_background("last line", lambda: (path, last_text(path)), self._read)

    def draw(self) -> None:
        console, now, tree = self.console, self.console.now(), self._tree
        known = console.world.tasks.get(self._run_id, {})
        tree.update(known)
        self.table.show(tree.keys, lambda key: tasks.cells(known[key], tree.branches[key], known, console.world, now))
        if self._first_task in known:
            self.table.go_to(self._first_task)
            self._first_task = None
        task = self.chosen
        panel = self.query_one("#detail", Painted)
        dependents = tree.dependents.get(task.id, []) if task else []
        last_line = self._last_lines.get(self._log_path or Path(), "")
        lines = tasks.detail(task, dependents, last_line, console.world, panel.size.width, panel.size.height - 1)
        panel.paint([line(), *lines])
        if self.has_class("-wide"):
            whose = f"log of {task.id}" + (f", attempt {task.attempt}" if task.attempt else "") if task else ""
            self.query_one("#whose", Painted).paint([line((whose, Tone.DONE))])
            self.query_one(LogView).look_at(self._log_path, tasks.state_words(task) if task else "")

    def on_resize(self, event: Resize) -> None:
        wide = event.size.width >= WIDE
        self.set_class(wide, "-wide")
        if not wide:
            self.query_one(LogView).look_at(None, "")

    def on_screen_suspend(self) -> None:
        self.query_one(LogView).look_at(None, "")

    def on_log_view_drawn(self) -> None:
        """The log beside the tree needs nothing of this screen."""

    def _read(self, found: tuple[Path, str]) -> None:
        self._last_lines[found[0]] = found[1]
        self.repaint()

    def do_open(self) -> None:
        if (task := self.chosen) is not None:
            self.console.enter(LogScreen(self._run_id, task.id))

    def do_cancel(self) -> None:
        if (run := self.run) is not None and (task := self.chosen) is not None:
            known = self.console.world.tasks.get(self._run_id, {})
            cancel(self.console, run, task, [known[name] for name in self._tree.dependents.get(task.id, ())])
