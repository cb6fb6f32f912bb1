"""What all screens share: one header line, one title line, a body, one footer line, and keys that come from the registry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget

from tui.actions import Situation, actions_of, footer_of
from tui.models import chrome
from tui.models.text import Line, Tone, fit_spans
from tui.models.world import Run
from tui.widgets.painted import Painted
from tui.widgets.table import Table

if TYPE_CHECKING:
    from tui.app import ConsoleApp

Answer = TypeVar("Answer")


def bindings(context: str) -> list[BindingType]:
    """A screen's bindings, from the registry."""
    return [
        Binding(",".join(action.keys), f"act('{action.id}')", action.title, tooltip=action.description, show=False)
        for action in actions_of(context)
    ]


class ConsoleScreen(Screen[Answer], Generic[Answer], inherit_bindings=False):
    """A screen is drawn by `draw`, from models, when the app's timer or a key says so; what did not change is not sent."""

    CONTEXT = ""
    AUTO_FOCUS: ClassVar[str | None] = ""  # none; and keys reach the screen
    _composed = False

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        yield Painted(id="header")
        yield Painted(id="title")
        yield from self.body()
        yield Painted(id="footer")

    # --- what a screen says of itself ------------------------------------------------------------------------------------

    def body(self) -> Iterable[Widget]:
        """Its widgets between title and footer."""
        raise NotImplementedError

    def draw(self) -> None:
        """Paint the body from the models."""
        raise NotImplementedError

    def title_line(self) -> tuple[str, str, str]:
        """(name, what is shown, the right end)"""
        raise NotImplementedError

    def path(self) -> list[str]:
        """Where this is, after the host's name."""
        return []

    def situation(self) -> Situation:
        return Situation(connected=self.console.connected)

    def counted_runs(self) -> Iterable[Run]:
        """The runs whose tasks the header counts."""
        return self.console.world.runs.values()

    def want(self) -> None:
        """Ask for what this screen shows and does not have; called before each drawing."""

    # --- drawing ---------------------------------------------------------------------------------------------------------

    def repaint(self) -> None:
        """Draw everything; only changed cells are sent."""
        if not self._composed or not self.is_attached or not self.size.width:
            return
        console, width, now = self.console, self.size.width, self.console.now()
        self.want()
        path = [console.host, *self.path()]
        self._line("header", chrome.header(path, console.world, self.counted_runs(), now, width))
        lost_at = console.lost_at
        if lost_at is None:
            self._line("title", chrome.title(*self.title_line(), width))
        else:
            self._line("title", chrome.banner(console.problem, lost_at, now, width))
        message = console.message
        if message is None:
            self._line("footer", chrome.footer(footer_of(self.CONTEXT), self.situation(), width))
        else:
            self._line("footer", Line(tuple(fit_spans([(" " + message[0], message[1])], width))))
        self.draw()

    def on_mount(self) -> None:
        self._composed = True

    def on_screen_resume(self) -> None:
        self.repaint()

    def on_table_moved(self) -> None:
        self.call_later(self.repaint)

    # --- keys ------------------------------------------------------------------------------------------------------------

    def action_act(self, name: str) -> None:
        """Do one action of the registry, or say why it cannot be done now."""
        console = self.console
        console.message = None
        action = next(action for action in actions_of(self.CONTEXT) if action.id == name)
        reason = action.why_not(self.situation())
        if reason is None:
            getattr(self, f"do_{name}")()
        else:
            console.say(f"{action.title}: {reason}", Tone.ATTENTION)
        if self.is_active:
            self.repaint()

    def do_back(self) -> None:
        self.console.still()
        self.console.pop_screen()

    def do_help(self) -> None:
        self.console.show_help(self.CONTEXT, self.situation())

    def do_runs(self) -> None:
        self.console.go_to_runs()

    def do_devices(self) -> None:
        self.console.show_devices()

    def do_redraw(self) -> None:
        self.refresh(layout=True)
        self.console.refresh(repaint=True)

    def do_start_server(self) -> None:
        self.console.link.start_server()
        self.console.say("starting a server …")

    # --- moving in the screen's table ------------------------------------------------------------------------------------

    @property
    def table(self) -> Table:
        return self.query_one(Table)

    def do_down(self) -> None:
        self.table.move(1)

    def do_up(self) -> None:
        self.table.move(-1)

    def do_page_down(self) -> None:
        self.table.move(self.table.page)

    def do_page_up(self) -> None:
        self.table.move(-self.table.page)

    def do_first(self) -> None:
        self.table.move(-self.table.position[1])

    def do_last(self) -> None:
        self.table.move(self.table.position[1])

    def _line(self, id: str, painted: Line) -> None:
        self.query_one(f"#{id}", Painted).paint([painted])
