"""The keys of the screen it was called from, made from the action registry, and what the letters mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from gpu_graph.state import LETTERS
from tui.actions import Situation, actions_of
from tui.models import words
from tui.models.columns import Cell, Column
from tui.models.text import Tone
from tui.screens.base import ConsoleScreen, bindings
from tui.widgets.table import Table

_COLUMNS = (
    Column("", 1, gap=1),
    Column("key", 11),
    Column("action", 12),
    Column("what it does", 20, grow=1, most=100),
)


class HelpScreen(ConsoleScreen[None]):
    CONTEXT = "help"
    BINDINGS = bindings(CONTEXT)

    def __init__(self, context: str, situation: Situation) -> None:
        super().__init__()
        self._about = context
        self._rows = help_rows(context, situation)
        self._keys = list(self._rows)

    def body(self) -> Iterable[Widget]:
        yield Table(_COLUMNS, id="keys")

    def path(self) -> list[str]:
        return ["help"]

    def title_line(self) -> tuple[str, str, str]:
        return "HELP", f"keys of the screen {self._about}", ""

    def draw(self) -> None:
        self.table.show(self._keys, self._rows.__getitem__)


def help_rows(context: str, situation: Situation) -> dict[str, Sequence[Cell]]:
    """One row for each action that the screen has, then the letters."""
    rows: dict[str, Sequence[Cell]] = {}
    for action in actions_of(context):
        reason = action.why_not(situation)
        if reason is None:
            rows[f"{action.id} {action.keys}"] = "", (action.shown, Tone.HEADING), action.title, action.description
        else:
            dim = Tone.DONE
            rows[f"{action.id} {action.keys}"] = "", (action.shown, dim), (action.title, dim), (f"not now: {reason}", dim)
    rows["blank"] = "", "", "", ""
    rows["letters"] = "", ("letter", Tone.DONE), ("state", Tone.DONE), ""
    for state, letter in LETTERS.items():
        if state != "starting":
            rows[f"letter {state}"] = "", (letter, words.tone_of(state)), str(state).replace("_", " "), _MEANINGS[state]
    return rows


_MEANINGS: dict[str, str] = {
    "waiting": "its reason says for what",
    "running": "an attempt is starting or runs on its devices",
    "succeeded": "ended with exit status 0",
    "cached": "not run: an earlier result holds",
    "failed": "ended with another exit status",
    "timed_out": "ended because its time was over",
    "cancelled": "ended because a person asked",
    "lost": "its end was not seen",
    "skipped": "not run: something that it needs did not succeed",
}
