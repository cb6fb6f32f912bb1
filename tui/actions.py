"""Every action of the console, in one place: its name, keys, words, where it applies, and when it does not and why.

Bindings, the footer, the help screen and later the key reference are made from this list. Plain data: a screen that lists an
action implements `action_<id>`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui.models.words import ENDED_TASKS
from tui.models.world import Run, Task


@dataclass(frozen=True, slots=True)
class Situation:
    """What an action's condition may look at: the run and task it would act on, and whether a server answers."""

    run: Run | None = None
    task: Task | None = None
    connected: bool = True
    rows: int = 0


def _always(_: Situation) -> str | None:
    return None


def _needs_row(situation: Situation) -> str | None:
    return None if situation.rows else "there is nothing to open"


def _can_cancel(situation: Situation) -> str | None:
    if not situation.connected:
        return "there is no server to ask"
    if situation.run is None:
        return "there is nothing to cancel"
    if not situation.run.active:
        elsewhere = "its server is another one" if not situation.run.adopted else f"the run has ended ({situation.run.state})"
        return elsewhere
    if situation.task is not None and situation.task.state in ENDED_TASKS:
        return f"the task has ended ({situation.task.state.replace('_', ' ')})"
    return None


def _lost(situation: Situation) -> str | None:
    return "the server is there" if situation.connected else None


@dataclass(frozen=True, slots=True)
class Action:
    """keys: Textual's names; shown: how help and footer write them; where: the screens that have it."""

    id: str
    keys: tuple[str, ...]
    shown: str
    title: str
    description: str
    where: tuple[str, ...]
    why_not: Callable[[Situation], str | None] = _always


LISTS = ("runs", "tasks", "devices", "files", "plan", "help")
VIEWS = ("runs", "tasks", "log", "devices", "files")

ACTIONS = (
    Action("open", ("enter",), "enter", "open", "open what the cursor is on", ("runs", "tasks", "files"), _needs_row),
    Action("open", ("enter",), "enter", "log", "the log of the task that holds the device", ("devices",), _needs_row),
    Action("launch", ("a",), "a", "launch", "start a run: run file, form, plan, then confirm", ("runs",)),
    Action("cancel", ("x",), "x", "cancel", "cancel the run or the task; asks first", ("runs", "tasks"), _can_cancel),
    Action("devices", ("4",), "4", "devices", "GPUs and CPU slots, and who holds them", ("runs", "tasks", "log")),
    Action("runs", ("1",), "1", "runs", "the list of runs", ("tasks", "log", "devices", "files")),
    Action("down", ("down", "j"), "↓ j", "down", "one line down", (*LISTS, "log")),
    Action("up", ("up", "k"), "↑ k", "up", "one line up", (*LISTS, "log")),
    Action("page_down", ("pagedown", "ctrl+d", "space"), "PgDn ctrl+d", "page down", "one page down", (*LISTS, "log")),
    Action("page_up", ("pageup", "ctrl+u"), "PgUp ctrl+u", "page up", "one page up", (*LISTS, "log")),
    Action("first", ("home", "g"), "g Home", "start", "the first line", (*LISTS, "log")),
    Action("last", ("end", "G"), "G End", "end", "the last line; in a log also follow it", (*LISTS, "log")),
    Action("right", ("right", "l"), "→ l", "right", "the right part of long lines", ("log",)),
    Action("left", ("left", "h"), "← h", "left", "the left part of long lines", ("log",)),
    Action("follow", ("f",), "f", "follow", "follow the end, or hold still", ("log",)),
    Action("plan", ("ctrl+r",), "ctrl+r", "plan", "check the values and show what would run", ("form",)),
    Action("next_field", ("enter", "down"), "enter ↓", "next", "the next value", ("form",)),
    Action("previous_field", ("up",), "↑", "previous", "the value before", ("form",)),
    Action("start", ("enter",), "enter", "launch", "start the run", ("plan",)),
    Action("start_server", ("S",), "S", "start server", "start a server when there is none", VIEWS, _lost),
    Action("confirm", ("y",), "y", "yes", "do it", ("confirm",)),
    Action("refuse", ("n", "enter", "escape", "q", "N"), "n", "no", "leave it be", ("confirm",)),
    Action("redraw", ("ctrl+l",), "ctrl+l", "redraw", "draw the whole screen again", (*VIEWS, "form", "plan", "help")),
    Action("help", ("question_mark", "f1"), "?", "help", "the keys of this screen", VIEWS),
    Action("leave", ("q",), "q", "leave", "leave the console; runs go on", ("runs",)),
    Action("back", ("q", "backspace", "escape"), "q", "back", "back to the screen before", (*VIEWS[1:], "plan", "help")),
    Action("back", ("escape",), "esc", "back", "back to the screen before; nothing is started", ("form",)),
)


def actions_of(context: str) -> list[Action]:
    """The actions of one screen, in the order of this file."""
    return [action for action in ACTIONS if context in action.where]


FOOTERS = {
    "runs": ("open", "launch", "cancel", "devices", "help", "leave"),
    "tasks": ("open", "cancel", "devices", "help", "back"),
    "log": ("up", "page_up", "first", "follow", "help", "back"),
    "devices": ("open", "help", "back"),
    "files": ("open", "help", "back"),
    "form": ("plan", "next_field", "previous_field", "back"),
    "plan": ("start", "down", "back"),
    "help": ("down", "page_down", "back"),
}
"""What the footer names: six at most; the rest is in the help."""


def footer_of(context: str) -> list[Action]:
    """The actions of a screen's footer."""
    known = {action.id: action for action in actions_of(context)}
    return [known[name] for name in FOOTERS[context]]
