"""The console: one Textual app over the same client as the command line.

It owns the reduced state (`World`), the line to the server (`Link`) and the clock, and hands them to screens. It never blocks:
everything that may wait runs in a thread, and its result comes back as a message. Leaving it leaves every run going.
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from textual.app import App
from textual.binding import Binding, BindingType

from gpu_graph.errors import GraphError, ServerError
from tui.actions import Situation
from tui.link import Link
from tui.models.text import Tone
from tui.models.world import Run, Task, World
from tui.safe_text import clean_name
from tui.screens.base import ConsoleScreen
from tui.screens.devices import DevicesScreen
from tui.screens.help import HelpScreen
from tui.screens.runs import RunsScreen
from tui.terminal import leaving_on_signals, only_the_app_draws

Result = TypeVar("Result")

_TICK_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 2.0
_TASKS_A_SECOND = 1000
"""Tasks that are asked for again, at most: a long answer is asked for rarely."""
_MESSAGE_SECONDS = 8.0
_SETTLE_SECONDS = 0.02


class ConsoleApp(App[int], inherit_bindings=False):
    """Applies what arrived, once a second, and draws the screen that is on top; a key draws at once."""

    CSS_PATH = "console.tcss"
    TITLE = "tiller"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "interrupt", show=False, priority=True, system=True)]

    def __init__(self, workspace: Path) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"  # the terminal's own colours, on its own background
        self.animation_level = "none"
        self.world = World(workspace)
        self.link = Link(workspace, self._wake)
        self._message: tuple[str, Tone] | None = None
        self._message_until = 0.0
        self._busy: set[str] = set()
        self._heard = 0
        self._asked: dict[str, tuple[int, float]] = {}
        self._select: str | None = None
        self._interrupted_at = 0.0

    # --- life ------------------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.push_screen(RunsScreen())
        self.link.open()
        self.set_interval(_TICK_SECONDS, self.tick)

    def on_unmount(self) -> None:
        self.link.close()

    def leave(self, code: int = 0) -> None:
        self.exit(code)

    def leave_soon(self, code: int) -> None:
        """From a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.leave, code)

    def action_interrupt(self) -> None:
        """ctrl+c: a habit, so it explains itself the first time and leaves the second."""
        if time.monotonic() - self._interrupted_at < 1.0:
            self.leave()
        self._interrupted_at = time.monotonic()
        self.say("runs go on whatever you do here; q leaves, and so does ctrl+c twice")

    def tick(self) -> None:
        """Take in what arrived, then draw; a screen that is covered draws nothing."""
        for event in self.link.take():
            self._heard += 1
            if event["kind"] == "connected":
                self.world.begin()
            else:
                self.world.apply(event)
        self.want_devices(readings=False)
        if isinstance(self.screen, ConsoleScreen):
            self.screen.repaint()
        if self._select in self.world.runs and isinstance(self.screen, RunsScreen):
            self.screen.table.go_to(self._select)
            self._select = None

    # --- what screens ask --------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return time.time()

    @property
    def connected(self) -> bool:
        return self.link.state.connected

    @property
    def lost_at(self) -> float | None:
        return self.link.state.lost_at

    @property
    def problem(self) -> str:
        return clean_name(self.link.state.problem)

    @property
    def host(self) -> str:
        return clean_name(self.world.devices.host or platform.node())

    @property
    def message(self) -> tuple[str, Tone] | None:
        """What is said in the footer's place, for a while."""
        return self._message if time.monotonic() < self._message_until else None

    @message.setter
    def message(self, message: tuple[str, Tone] | None) -> None:
        self._message = message
        self._message_until = time.monotonic() + _MESSAGE_SECONDS

    def say(self, text: str, tone: Tone = Tone.RUNNING) -> None:
        """Answer a person's action, until the next key."""
        self.message = (clean_name(text), tone)
        if isinstance(self.screen, ConsoleScreen):
            self.screen.repaint()

    def log_path(self, run_id: str, task: Task | None) -> Path | None:
        """Where the task's present attempt writes; None before its first."""
        run = self.world.runs.get(run_id)
        if run is None or task is None or not task.attempt:
            return None
        return run.workspace / "logs" / run_id / task.id / f"{task.attempt}.log"

    def want_tasks(self, run: Run) -> None:
        """See to it that the run's tasks are known, and their reasons not older than what was heard since."""
        missing = run.id not in self.world.tasks or run.id in self.world.stale
        pause = max(_ASK_AGAIN_SECONDS, run.total / _TASKS_A_SECOND)
        if (missing or run.active) and self._due(f"tasks {run.id}", missing, pause):
            workspace = str(run.workspace)

            def ask() -> Mapping[str, Any]:
                return self.link.request("status", workspace=workspace, run=run.id)

            def failed(error: GraphError) -> None:
                if not isinstance(error, ServerError):  # the run was removed
                    self.world.forget(run.id)

            self.in_background(
                "tasks", ask, lambda said: self._told({"kind": "status", "seq": said["seq"], "run": said}), failed
            )

    def want_devices(self, *, readings: bool) -> None:
        """See to it that holders are known, and with `readings` that meters move."""
        if self._due("devices", readings):
            self.in_background("devices", self._ask_devices, self._told)

    def in_background(
        self,
        purpose: str,
        job: Callable[[], Result],
        then: Callable[[Result], object] = lambda _: None,
        failed: Callable[[GraphError], object] = lambda _: None,
    ) -> bool:
        """Run a job in a thread, then `then` or `failed` here. False when one of this purpose is under way.

        The thread is a daemon of its own and no worker of Textual's: leaving the console must not wait for a server or a
        disk that does not answer.
        """
        if purpose in self._busy:
            return False
        self._busy.add(purpose)

        def work() -> None:
            try:
                result = job()
            except GraphError as error:
                self._from_thread(self._finished, purpose, failed, error)
            except OSError as error:
                self._from_thread(self._finished, purpose, failed, GraphError(f"{purpose}: {error}"))
            except Exception as error:  # noqa: BLE001  # a fault of ours: it must end the app with its traceback, not a thread
                self._from_thread(self._broken, error)
            else:
                self._from_thread(self._finished, purpose, then, result)

        threading.Thread(target=work, name=f"tiller-{purpose}", daemon=True).start()
        return True

    def enter(self, screen: ConsoleScreen[None]) -> None:
        """Open a screen over this one."""
        self.still()
        self.push_screen(screen)

    def still(self) -> None:
        """Send nothing while screens change: Textual lays a new one out three times and would send each."""
        self.delay_update(_SETTLE_SECONDS)

    def go_to_runs(self, select: str | None = None) -> None:
        """Back to the top level; with the cursor on a run, now or when it turns up."""
        self._select = select
        self.still()
        while not isinstance(self.screen, RunsScreen):
            self.pop_screen()
        self.screen.repaint()

    def show_devices(self) -> None:
        self.enter(DevicesScreen())

    def show_help(self, context: str, situation: Situation) -> None:
        self.enter(HelpScreen(context, situation))

    # --- threads -----------------------------------------------------------------------------------------------------------

    def _ask_devices(self) -> dict[str, Any]:
        return {"kind": "devices", "devices": self.link.request("devices")}

    def _told(self, event: dict[str, Any]) -> None:
        self.world.apply(event)
        if isinstance(self.screen, ConsoleScreen):
            self.screen.repaint()

    def _finished(self, purpose: str, then: Callable[[Any], object], result: Any) -> None:
        self._busy.discard(purpose)
        then(result)

    def _broken(self, error: Exception) -> None:
        raise error

    def _wake(self) -> None:
        self._from_thread(self.tick)

    def _from_thread(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Have the app call something; messages are the one thing that a thread may use."""
        try:
            self.call_later(callback, *arguments)
        except RuntimeError:  # the loop has closed: the console is being left
            return

    def _due(self, what: str, now: bool, pause: float = _ASK_AGAIN_SECONDS) -> bool:
        """Whether to ask for something again: not sooner than after a while, and only when there was news or `now`."""
        heard, at = self._asked.get(what, (-1, 0.0))
        if not self.connected or time.monotonic() - at < pause or (heard == self._heard and not now):
            return False
        self._asked[what] = (self._heard, time.monotonic())
        return True


def run_console(workspace: Path) -> int:
    """Show the console until a person leaves it; returns the exit status."""
    app = ConsoleApp(workspace)
    with only_the_app_draws(), leaving_on_signals(app.leave_soon):
        code = app.run(mouse=False)
    if code == 0:
        print(farewell(app.world))
    return code if code is not None else app.return_code or 0


def farewell(world: World) -> str:
    """What is going on behind the console's back, and the way back to it."""
    going = [clean_name(run.name) for run in world.runs.values() if run.active]
    if not going:
        return "No run is active. tiller  opens the console again."
    named = ", ".join(going[:3]) + (f" and {len(going) - 3} more" if len(going) > 3 else "")
    return f"{'1 run goes' if len(going) == 1 else f'{len(going)} runs go'} on: {named}. tiller  re-attaches."
