"""Texts of two models as coloured text: each token by the difference at its own prediction (§2.5, without its off by one).

Owns which number colours a token, the common scale, and what is told with it; how it looks belongs to `engine.plots.shaded`.
The records it makes are plain values that a console may draw as well. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.cd.decoding.numbers import MEASURES, WEIGHTED, TokenNumbers
from engine.cd.settings import Region
from engine.cd.texts.records import MeasuredText
from engine.plots.shaded import ColoredText, ColoredTexts, Piece, shade

TWO_SIDED = ("log_ratio", "entropy_difference", WEIGHTED, "starting_logprob", "comparison_logprob")
"""Measures whose sign says something: shades below 0 for numbers below 0."""
_MEMBERS = ("starting", "comparison")


@dataclass(frozen=True, slots=True)
class Look:
    """What colours the texts, and what things are called. members: names of S and C. strings: of token ids."""

    title: str
    measure: str
    region: Region
    members: tuple[str, str]
    strings: Mapping[int, str]


def colored(texts: Sequence[MeasuredText], look: Look, note: str = "") -> ColoredTexts:
    """The texts in their order, on one scale: from the smallest to the largest number among them; of a measure with two sides
    from 0 to the number farthest from it."""
    values = [text.numbers(look.measure, region) for text in texts for region in _regions(text, look.region)]
    every = np.concatenate([np.empty(0), *values])
    finite = every[np.isfinite(every)]
    limits = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    if look.measure in TWO_SIDED:
        limits = (0.0, max(abs(limits[0]), abs(limits[1])))
    told = MEASURES.get(look.measure, "the published weighted form, nats")
    return ColoredTexts(
        look.title, f"{look.measure} ({told})", limits, tuple(_text(text, look, limits) for text in texts), note
    )


def heading(text: MeasuredText, measure: str, region: Region) -> str:
    """A text's numbers in a line. A text without a token has none."""
    mean = text.mean(measure, region)
    if math.isnan(mean):
        return f"no {measure}"
    perplexities = (f"{who} {text.perplexity(member, region):.4g}" for who, member in zip("SC", _MEMBERS, strict=True))
    return f"{measure} {mean:.5f}, perplexity {' '.join(perplexities)}"


def _regions(text: MeasuredText, region: Region) -> list[Region]:
    """The parts of a text that are coloured."""
    parts: list[Region] = [one for one in ("prompt", "generated") if region in (one, "both")]
    return [one for one in parts if one == "generated" or text.prompt_numbers is not None]


def _text(text: MeasuredText, look: Look, limits: tuple[float, float]) -> ColoredText:
    pieces: list[Piece] = []
    lead = text.prompt
    if text.prompt_numbers is not None and look.region != "generated":
        pieces += _before(text.prompt, text.prompt_tokens)
        pieces += _pieces(text.prompt_tokens, text.prompt_numbers, look, limits)
        lead = ""
        pieces += [Piece(" ▸")]
    if look.region == "prompt":
        pieces += [Piece(text.text)]
    else:
        pieces += _before(text.text, text.tokens) if not text.prompt else []
        pieces += _pieces(text.tokens, text.generated, look, limits)
    return ColoredText(text.id, heading(text, look.measure, look.region), lead, tuple(pieces))


def _before(text: str, tokens: Sequence[str]) -> list[Piece]:
    """The text's first token where nothing predicted it."""
    measured = "".join(tokens)
    return [Piece(text.removesuffix(measured))] if text.endswith(measured) and text != measured else []


def _pieces(tokens: Sequence[str], numbers: TokenNumbers, look: Look, limits: tuple[float, float]) -> list[Piece]:
    values = numbers.values[look.measure].tolist()
    told = {name: column.tolist() for name, column in numbers.values.items()}
    tops = [numbers.starting_top, numbers.comparison_top]
    names = [f"{who} {name}" for who, name in zip("SC", look.members, strict=True)]
    pieces = []
    for place, (token, value) in enumerate(zip(tokens, values, strict=True)):
        likely = {
            name: tuple(
                (look.strings.get(token, f"#{token}"), probability)
                for token, probability in zip(ids[place].tolist(), chances[place].tolist(), strict=True)
            )
            for name, (ids, chances) in zip(names, tops, strict=True)
        }
        pieces.append(Piece(token, value, _shade(value, look, limits), {name: told[name][place] for name in told}, likely))
    return pieces


def _shade(value: float, look: Look, limits: tuple[float, float]) -> float:
    if look.measure in TWO_SIDED:
        return shade(abs(value), *limits) * (1 if value >= 0 else -1)
    return shade(value, *limits)
