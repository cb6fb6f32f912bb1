"""One task's log, whole screen: follows the end, moves by line and page, never reads more than it shows."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from tui.actions import Situation
from tui.models import tasks, words
from tui.models.world import Run, Task
from tui.safe_text import clean_name
from tui.screens.base import ConsoleScreen, bindings
from tui.widgets.log import LogView


class LogScreen(ConsoleScreen[None]):
    CONTEXT = "log"
    BINDINGS = bindings(CONTEXT)

    def __init__(self, run_id: str, task_id: str) -> None:
        super().__init__()
        self._run_id = run_id
        self._task_id = task_id

    def body(self) -> Iterable[Widget]:
        yield LogView(id="log")

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    @property
    def run(self) -> Run | None:
        return self.console.world.runs.get(self._run_id)

    @property
    def chosen(self) -> Task | None:
        return self.console.world.tasks.get(self._run_id, {}).get(self._task_id)

    def path(self) -> list[str]:
        return [clean_name(self.run.name if self.run else self._run_id), clean_name(self._task_id)]

    def title_line(self) -> tuple[str, str, str]:
        task, shown = self.chosen, self.view.shown
        parts = [f"attempt {task.attempt}"] if task and task.attempt else []
        if task is not None:
            parts.append(tasks.state_words(task))
        if shown.total is not None and shown.exists:
            parts.append(words.plural(shown.total, "line"))
        if shown.exists:
            parts.append(words.size(shown.size))
        if self.view.shifted:
            parts.append(f"from column {self.view.shifted + 1}")
        right = "following" if shown.follow else "held"
        if not shown.follow and shown.number is not None:
            right = f"line {shown.number:,}" + (f", {shown.below:,} below" if shown.below else "")
        return "LOG", "   ".join(parts), right

    def counted_runs(self) -> Iterable[Run]:
        return [self.run] if self.run else []

    def situation(self) -> Situation:
        return Situation(self.run, self.chosen, self.console.connected)

    def want(self) -> None:
        if (run := self.run) is not None:
            self.console.want_tasks(run)

    def draw(self) -> None:
        task = self.chosen
        self.view.look_at(self.console.log_path(self._run_id, task), tasks.state_words(task) if task else "")

    def on_log_view_drawn(self) -> None:
        self.repaint()

    def do_down(self) -> None:
        self.view.ask(lambda window: window.move(1))

    def do_up(self) -> None:
        self.view.ask(lambda window: window.move(-1))

    def do_page_down(self) -> None:
        page = self.view.page
        self.view.ask(lambda window: window.move(page))

    def do_page_up(self) -> None:
        page = self.view.page
        self.view.ask(lambda window: window.move(-page))

    def do_first(self) -> None:
        self.view.ask(lambda window: window.first())

    def do_last(self) -> None:
        self.view.ask(lambda window: window.last())

    def do_follow(self) -> None:
        self.view.ask(lambda window: window.toggle_follow())

    def do_left(self) -> None:
        self.view.shift(-1)

    def do_right(self) -> None:
        self.view.shift(1)
