"""The form of a run file. What is typed is judged at once, by field; ctrl+r builds the graph and shows the plan."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from gpu_graph import submit
from gpu_graph.client import Client
from gpu_graph.errors import GraphError
from gpu_graph.run_file import RunFile
from gpu_graph.submission import Submission
from tui.models.launch import Form, FormField
from tui.models.text import Line, Tone, line, wrap
from tui.safe_text import clean_name
from tui.screens.base import ConsoleScreen, bindings
from tui.screens.plan import PlanScreen
from tui.widgets.painted import Painted


class Field(Widget):
    """One parameter: its name, its text, and what is wrong with it or what it may be."""

    def __init__(self, entry: FormField) -> None:
        super().__init__()
        self.entry = entry

    def compose(self) -> ComposeResult:
        label, hint = Painted(), Painted()
        label.add_class("label")
        hint.add_class("hint")
        field = Input(self.entry.text, compact=True, select_on_focus=False)
        field.cursor_blink = False
        yield from (label, field, hint)

    def repaint(self) -> None:
        label, hint = self.query(Painted)
        focused = self.query_one(Input).has_focus
        name = clean_name(self.entry.parameter.name)
        label.paint([line(" ▸ " if focused else "   ", (name, Tone.HEADING if focused else Tone.PLAIN))])
        problem = self.entry.problem
        hint.paint([line((clean_name(problem), Tone.FAILED) if problem else (clean_name(self.entry.hint), Tone.DONE))])


class FormScreen(ConsoleScreen[None]):
    CONTEXT = "form"
    BINDINGS = bindings(CONTEXT)
    AUTO_FOCUS = "Input"

    def __init__(self, run_file: RunFile) -> None:
        super().__init__()
        self._form = Form(run_file)
        self._building = False
        self._problem = ""

    def body(self) -> Iterable[Widget]:
        yield Painted(id="about")
        with Vertical(id="fields"):
            for entry in self._form.fields:
                yield Field(entry)
        yield Painted(id="said")

    def path(self) -> list[str]:
        return ["launch"]

    def title_line(self) -> tuple[str, str, str]:
        return "LAUNCH", clean_name(self._form.run_file.path.name), ""

    def draw(self) -> None:
        about = self.query_one("#about", Painted)
        text = self._form.summary
        if not self._form.fields:
            text += " It takes no parameters."
        about.paint([line(), *(line(f" {part}") for part in wrap(text, max(about.size.width - 2, 1), 2))])
        for field in self.query(Field):
            field.repaint()
        self.query_one("#said", Painted).paint(self._said())

    def _said(self) -> list[Line]:
        width = max(self.size.width - 2, 1)
        if self._building:
            return [line(), line((" Building the graph …", Tone.RUNNING))]
        if self._problem:
            return [line(), *(line((f" {text}", Tone.FAILED)) for text in wrap(clean_name(self._problem), width, 4))]
        problems = self._form.problems
        if problems:
            verdict = line((f" {len(problems)} of {len(self._form.fields)} values to mend", Tone.ATTENTION))
        else:
            verdict = line(" Nothing starts yet: ", ("ctrl+r", Tone.HEADING), " shows what would run.")
        focused = next((field.entry for field in self.query(Field) if field.has_focus_within), None)
        if focused is None or not focused.description:
            return [line(), line(), line(), verdict]
        about = wrap(f"{focused.parameter.name}: {focused.description}", width, 2)
        return [line(), *(line((f" {text}", Tone.DONE)) for text in about), *[line()] * (2 - len(about)), verdict]

    def on_input_changed(self, event: Input.Changed) -> None:
        field = event.input.parent
        if isinstance(field, Field):
            field.entry.text = event.value
            self._problem = ""
            self.repaint()

    def on_input_submitted(self) -> None:
        self.do_next_field()

    def on_descendant_focus(self) -> None:
        self.repaint()

    def do_next_field(self) -> None:
        self.focus_next(Input)

    def do_previous_field(self) -> None:
        self.focus_previous(Input)

    def do_plan(self) -> None:
        if self._form.problems:
            self.console.say(self._form.problems[0], Tone.FAILED)
            return
        path, values, workspace = self._form.run_file.path, self._form.values(), self.console.world.workspace

        def build() -> tuple[Submission, list[str]]:
            submission = submit.prepare(path, values, workspace)
            with Client.connect() as client:
                return submission, submit.check(client, submission)

        if self.console.in_background(f"build {id(self)}", build, self._built, self._failed):
            self._building, self._problem = True, ""

    def _built(self, result: tuple[Submission, list[str]]) -> None:
        self._building = False
        if self.is_active:
            self.console.enter(PlanScreen(*result))

    def _failed(self, error: GraphError) -> None:
        self._building = False
        self._problem = str(error)
        self.repaint()
