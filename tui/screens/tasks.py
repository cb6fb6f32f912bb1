"""One run's tasks as a tree; below, what there is to say of the selected one; beside, on wide terminals, its log."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Horizontal
from textual.events import Resize
from textual.widget import Widget

from tui.actions import Situation
from tui.models import tasks
from tui.models.text import line
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

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="body"):
            yield Table(tasks.COLUMNS, id="tasks", empty=_LOADING)
            yield LogView(id="beside")
        yield Painted(id="detail")

    @property
    def run(self) -> Run | None:
        return self.console.world.runs.get(self._run_id)

    @property
    def chosen(self) -> Task | None:
        return self.console.world.tasks.get(self._run_id, {}).get(self.table.key or "")

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

    def draw(self) -> None:
        console, now, tree = self.console, self.console.now(), self._tree
        known = console.world.tasks.get(self._run_id, {})
        tree.update(known)
        self.table.show(tree.keys, lambda key: tasks.cells(known[key], tree.branches[key], console.world, now))
        if self._first_task in known:
            self.table.go_to(self._first_task)
            self._first_task = None
        task = self.chosen
        panel = self.query_one("#detail", Painted)
        dependents = tree.dependents.get(task.id, []) if task else []
        lines = tasks.detail(task, dependents, console.world, panel.size.width, panel.size.height - 1)
        panel.paint([line(), *lines])
        if self.has_class("-wide"):
            self.query_one(LogView).look_at(console.log_path(self._run_id, task), tasks.state_words(task) if task else "")

    def on_resize(self, event: Resize) -> None:
        wide = event.size.width >= WIDE
        self.set_class(wide, "-wide")
        if not wide:
            self.query_one(LogView).look_at(None, "")

    def on_screen_suspend(self) -> None:
        self.query_one(LogView).look_at(None, "")

    def on_log_view_drawn(self) -> None:
        """The log beside the tree needs nothing of this screen."""

    def do_open(self) -> None:
        if (task := self.chosen) is not None:
            self.console.enter(LogScreen(self._run_id, task.id))

    def do_cancel(self) -> None:
        if (run := self.run) is not None and (task := self.chosen) is not None:
            cancel(self.console, run, task, self._tree.dependents.get(task.id, ()))
