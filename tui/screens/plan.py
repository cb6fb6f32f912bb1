"""What would run: the tasks of a built graph, what each needs, and what would refuse it. Enter starts the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from gpu_graph import submit
from gpu_graph.client import Client
from gpu_graph.errors import GraphError
from gpu_graph.submission import Submission
from tui.models import plan
from tui.models.text import Line, Tone, line, wrap
from tui.safe_text import clean_name
from tui.screens.base import ConsoleScreen, bindings
from tui.widgets.painted import Painted
from tui.widgets.table import Table


class PlanScreen(ConsoleScreen[None]):
    CONTEXT = "plan"
    BINDINGS = bindings(CONTEXT)

    def __init__(self, submission: Submission, problems: Sequence[str]) -> None:
        super().__init__()
        self._submission = submission
        self._problems = list(problems)
        self._plan = plan.Plan(submission.graph)
        self._starting = False

    def body(self) -> Iterable[Widget]:
        yield Table(plan.COLUMNS, id="plan")
        yield Painted(id="said")

    def path(self) -> list[str]:
        return ["launch", clean_name(self._submission.graph.name)]

    def title_line(self) -> tuple[str, str, str]:
        return "PLAN", plan.summary(self._submission.graph), ""

    def draw(self) -> None:
        self.table.show(self._plan.keys, self._plan.cells)
        self.query_one("#said", Painted).paint(self._said())

    def _said(self) -> list[Line]:
        width = max(self.size.width - 4, 1)
        if self._starting:
            return [line(), line((" Handing over to the server …", Tone.RUNNING))]
        if self._problems:
            lines = [line(), line((" It cannot run here:", Tone.FAILED))]
            for problem in self._problems[:3]:
                lines += [line((f"   {text}", Tone.FAILED)) for text in wrap(clean_name(problem), width, 1)]
            return lines
        git = self._submission.git
        code = (
            "" if git is None else f"   git {git['commit'][:7]}" + (f" + {len(git['status'])} edits" if git["status"] else "")
        )
        return [line(), line(" Nothing has started. ", ("enter", Tone.HEADING), " starts the run.", (code, Tone.DONE))]

    def do_start(self) -> None:
        if self._problems:
            self.console.say("it cannot run here; q goes back to the form", Tone.ATTENTION)
            return
        submission = self._submission

        def start() -> str:
            with Client.connect() as client:
                return submit.submit(client, submission)

        if self.console.in_background(f"start {id(self)}", start, self._started, self._failed):
            self._starting = True

    def _started(self, run_id: str) -> None:
        if self.is_active:  # else a person went elsewhere meanwhile
            self.console.go_to_runs(run_id)
        self.console.say(f"{run_id} has started")

    def _failed(self, error: GraphError) -> None:
        self._starting = False
        self._problems = str(error).split("\n")
        if self.is_active:
            self.repaint()
        else:
            self.console.say(self._problems[0], Tone.FAILED)
