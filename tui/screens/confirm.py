"""A question before something that cannot be undone. The default is no."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.screen import ModalScreen

from tui.models.text import Line, Tone, line, wrap
from tui.screens.base import bindings
from tui.widgets.painted import Painted


class Confirm(ModalScreen[bool], inherit_bindings=False):
    """Asks on the last lines of the screen, over what it is about. y says yes; n, enter, esc and q say no."""

    CONTEXT = "confirm"
    BINDINGS = bindings(CONTEXT)
    AUTO_FOCUS = ""

    def __init__(self, question: str, losses: Sequence[str]) -> None:
        super().__init__()
        self._question = question
        self._losses = losses

    def compose(self) -> ComposeResult:
        yield Painted(id="question")

    def repaint(self) -> None:
        panel = self.query_one(Painted)
        width = panel.size.width
        if not width:
            return
        lines: list[Line] = [line(("─" * width, Tone.DONE))]
        lines.append(line(" ", (self._question, Tone.ATTENTION)))
        for loss in self._losses:
            lines += [line(f" {text}") for text in wrap(loss, width - 2, 2)]
        lines = lines[: panel.size.height - 2]
        keys = line(" ", ("y", Tone.HEADING), " yes   ", ("n", Tone.HEADING), " no (also enter)")
        panel.paint([*lines, *[line()] * (panel.size.height - len(lines) - 1), keys])

    def action_act(self, name: str) -> None:
        self.dismiss(name == "confirm")
