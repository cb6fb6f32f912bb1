"""Text whose tokens are coloured by a number: chips in the terminal, a page on which hovering tells the numbers.

Owns how coloured text looks. Signs are readable without colour: a token is marked by how far it lies above or below 0. Texts
are escaped; the page holds no script.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from engine.plots.heatmap import painted, shade
from engine.plots.page import escaped, page
from engine.printable import printable

_MARKS = {-2: "−−", -1: "−", 0: "", 1: "+", 2: "++"}


@dataclass(frozen=True, slots=True)
class Token:
    """`value` colours the token; `numbers` are told with it. `part`: where it stands ("prompt", "answer")."""

    text: str
    part: str
    value: float
    numbers: Mapping[str, float]
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chips:
    """Texts, each a name and its tokens, on one scale: red above 0, blue below, as far as the largest value reaches."""

    title: str
    value_name: str
    texts: Mapping[str, tuple[Token, ...]]
    note: str

    def reach(self) -> float:
        return max((abs(token.value) for tokens in self.texts.values() for token in tokens), default=0.0) or 1.0

    def mark(self, token: Token) -> str:
        """How far from 0, and on which side, in two steps: a third and two thirds of the scale."""
        share = token.value / self.reach()
        return _MARKS[(share > 0) - (share < 0) if abs(share) > 1 / 3 else 0] * (1 + (abs(share) > 2 / 3))

    def text(self, width: int, color: bool) -> str:
        from rich.cells import cell_len, chop_cells

        parts = [printable(self.title), self.note, self._scale(color)]
        for name, tokens in self.texts.items():
            lines, room = [""], width
            for token in tokens:
                shown = printable(token.text).replace(" ", "␣") or "∅"
                if not color:
                    shown += self.mark(token)
                for piece in chop_cells(shown, width - 1):
                    if cell_len(piece) + 1 > room:
                        lines.append("")
                        room = width
                    background = shade((1 + token.value / self.reach()) / 2, diverging=True)
                    lines[-1] += (painted(piece, background) if color else piece) + " "
                    room -= cell_len(piece) + 1
            parts += ["", f"{printable(name)}:", *(line.rstrip() for line in lines)]
        return "\n".join(parts)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        everyone = [token for tokens in self.texts.values() for token in tokens]
        numbers, words = list(everyone[0].numbers), list(everyone[0].words)
        writer.writerow(["text", "position", "part", "token", *numbers, *words])
        for name, tokens in self.texts.items():
            for position, token in enumerate(tokens):
                told = [f"{token.numbers[one]:.6f}" for one in numbers]
                writer.writerow([name, position, token.part, token.text, *told, *(token.words[one] for one in words)])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        notes = "".join(f"<p class=note>{escaped(one)}</p>" for one in (told, f"{self.note} {self._scale(False)}") if one)
        parts = [f"<h1>{escaped(self.title)}</h1>{notes}"]
        for name, tokens in self.texts.items():
            chips = "".join(map(self._chip, tokens))
            parts.append(f"<h2>{escaped(name)}</h2><p class=chips>{chips}</p>")
        return {"html": page(self.title, "".join(parts)).encode()}

    def _chip(self, token: Token) -> str:
        red, green, blue = shade((1 + token.value / self.reach()) / 2, diverging=True)
        told = [f"{name} {value:.4g}" for name, value in token.numbers.items()]
        told += [f"{name} {word!r}" for name, word in token.words.items()]
        hint = "\n".join(map(escaped, [token.part, *told]))
        shown = escaped(token.text).replace(" ", "\u00a0") or "∅"
        end = "<br>" if token.text.endswith("\n") else "<wbr>"
        mark = f"<sup>{self.mark(token)}</sup>" if self.mark(token) else ""
        kind = f"chip {escaped(token.part)}"
        return f'<span class="{kind}" style="background:rgb({red},{green},{blue})" title="{hint}">{shown}{mark}</span>{end}'

    def _scale(self, color: bool) -> str:
        reach = self.reach()
        if color:
            steps = [(place, f" {reach * (2 * place - 1):+.2f} ") for place in (0, 0.25, 0.5, 0.75, 1)]
            return f"{self.value_name}: " + "".join(painted(text, shade(place, diverging=True)) for place, text in steps)
        return f"{self.value_name}: + and − from a third of {reach:.2f} on, ++ and −− from two thirds"
