"""What the model would say at one position after every step of every block: the likeliest tokens of four states each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from engine.lens import STATES, State, lens, reading_states, states_of
from engine.plots.heatmap import Heatmap, HeatmapPicture
from engine.printable import printable
from engine.steering.figures.look import Looked, check_positions, forward, passed
from engine.steering.figures.settings import LensSettings
from engine.text_table import text_table

_LONGEST = 12
Guess = tuple[str, float]
"""A token and its probability."""


@dataclass(frozen=True)
class LensPicture:
    """guesses: {multiplier: {(layer, state): the likeliest tokens}}."""

    title: str
    states: tuple[State, ...]
    layers: int
    guesses: Mapping[float, Mapping[tuple[int, State], tuple[Guess, ...]]]

    def text(self, width: int, color: bool) -> str:
        parts = [printable(self.title)]
        if "middle" not in self.states:
            parts.append("Attention and MLP of this model read the same stream: there is none between them.")
        for multiplier, found in self.guesses.items():
            parts += ["", _named(multiplier)]
            top = range(len(next(iter(found.values()))))
            names = [f"layer {layer}" if rank == 0 else "" for layer in range(self.layers) for rank in top]
            columns = [
                (STATES[state], [_cell(found[layer, state][rank]) for layer in range(self.layers) for rank in top])
                for state in self.states
            ]
            parts.append(text_table(("", names), columns, width=width))
        if color:
            parts[0] = f"\x1b[1m{parts[0]}\x1b[0m"
        return "\n".join(parts)

    def numbers(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["multiplier", "layer", "state", "rank", "token", "probability"])
        for multiplier, found in self.guesses.items():
            for (layer, state), guesses in found.items():
                for rank, (token, probability) in enumerate(guesses, 1):
                    writer.writerow([multiplier, layer, STATES[state], rank, token, f"{probability:.6f}"])
        return out.getvalue()

    def drawn(self, told: str = "") -> Mapping[str, bytes]:
        maps = []
        for multiplier, found in self.guesses.items():
            order = range(self.layers - 1, -1, -1)
            firsts = [[found[layer, state][0] for state in self.states] for layer in order]
            maps.append(
                Heatmap(
                    f"{self.title}: {_named(multiplier)}", "layer", "state of the block", "probability of the likeliest token",
                    tuple(map(str, order)), tuple(STATES[state] for state in self.states),
                    tuple(tuple(probability for _, probability in row) for row in firsts), (0, 1), diverging=False,
                    texts=tuple(tuple(_cell(guess) for guess in row) for row in firsts),
                )
            )  # fmt: skip
        return HeatmapPicture(tuple(maps), cell_width=2.0).drawn(told)


def lens_picture(looked: Looked, settings: LensSettings) -> LensPicture:
    place = check_positions(looked.prompt_length, settings.position)
    with passed(looked) as runner, reading_states(looked.model, [place]) as found:
        forward(looked, runner)
    guesses: dict[float, dict[tuple[int, State], tuple[Guess, ...]]] = {}
    states = states_of(looked.model)
    for row, multiplier in enumerate(looked.multipliers):
        guesses[multiplier] = {
            (layer, state): _likeliest(looked, found[layer, state][row, 0], settings.top)
            for layer in range(looked.model.layers)
            for state in states
        }
    token = printable(looked.tokens(0)[place])
    title = f"{settings.behavior}, steered at layer {looked.layer}: behind '{token}' (position {place})"
    return LensPicture(title, states, looked.model.layers, guesses)


def _likeliest(looked: Looked, h: torch.Tensor, top: int) -> tuple[Guess, ...]:
    probabilities = lens(looked.model, h).softmax(-1)
    best = probabilities.topk(min(top, len(probabilities)))
    tokens = [str(looked.model.tokenizer.decode([token])) for token in best.indices.tolist()]
    return tuple(zip(tokens, best.values.tolist(), strict=True))


def _cell(guess: Guess) -> str:
    token, probability = printable(guess[0]).replace(" ", "␣") or "∅", guess[1]
    return f"{token if len(token) <= _LONGEST else token[: _LONGEST - 1] + '…'} {probability:.0%}"


def _named(multiplier: float) -> str:
    return f"{multiplier:+g} × v" if multiplier else "unsteered"
