"""Puts the measured figures into the model card: `python -m engine.demo.card 0.json 1.json 2.json --shipped 1`.

Each file is what `python -m engine.demo.evaluate --json` wrote for one seed. Only the part of `README.md` between its two
markers is written here; a test reads the shipped column back and compares it with the shipped weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from engine.demo.evaluate import rows
from engine.demo.weights import read_hashes

CARD = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def tables(figures: dict[str, dict], shipped: str) -> str:
    """The card's tables, seed by seed; the shipped seed's column comes first."""
    seeds = [shipped, *(seed for seed in figures if seed != shipped)]
    return "\n\n".join(
        "\n".join(part)
        for part in (
            _required([figures[seed] for seed in seeds], seeds),
            _curves(figures[shipped]),
            _judge(figures[shipped]),
            _others([figures[seed] for seed in seeds], seeds),
            _hashes(),
        )
    )


def stated(card: str) -> dict[str, float]:
    """The shipped column of a card's required rows."""
    lines = (line.split("|") for line in card.splitlines() if line.startswith("| "))
    found = {}
    for cells in lines:
        try:
            found[cells[1].strip()] = float(cells[3])
        except (ValueError, IndexError):
            continue
    return found


def write(tables_: str) -> None:
    """Replaces the figures in the card."""
    text = CARD.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    CARD.write_text(f"{head}{BEGIN}\n\n{tables_}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def _required(figures: list[dict], seeds: list[str]) -> Iterator[str]:
    yield f"| required | threshold | seed {seeds[0]} (shipped) | {' | '.join(f'seed {seed}' for seed in seeds[1:])} |"
    yield "|---|---|" + "---|" * len(seeds)
    for line in zip(*(rows(one) for one in figures), strict=True):
        values = " | ".join(f"{row.value:.3f}{'' if row.passes else ' (fails)'}" for row in line)
        yield f"| {line[0].name} | {line[0].bound} | {values} |"


def _curves(figures: dict) -> Iterator[str]:
    agree, letter = figures["agree"], figures["letter"]
    yield f"| mean P(agreeing letter), shipped, at | {' | '.join(f'{m:g}' for m in agree['multipliers'])} |"
    yield "|---|" + "---|" * len(agree["multipliers"])
    for name, part in (("cue pairs, end of prompt", agree), ("classic pairs, answer letter", letter)):
        values = " | ".join(f"{p:.3f}" for p in part["curve"])
        yield f"| {name} (block {part['layer']}, norm {part['norm']:.1f}) | {values} |"


def _judge(figures: dict) -> Iterator[str]:
    yield "| judge, shipped | accuracy | mean P(Yes) |"
    yield "|---|---|---|"
    for attribute, found in figures["judge"].items():
        yield f"| {attribute} | {found['accuracy']:.3f} | {found['prior']:.3f} |"


def _others(figures: list[dict], seeds: list[str]) -> Iterator[str]:
    yield f"| also measured | seed {seeds[0]} (shipped) | {' | '.join(f'seed {seed}' for seed in seeds[1:])} |"
    yield "|---|" + "---|" * len(seeds)
    for name in figures[0]["slogan"]:
        yield _line(f"slogan: {name}", [f"{one['slogan'][name]:.3f}" for one in figures])
    for name in ("harmful", "harmless"):
        steps = ", ".join(f"{m:g}" for m in figures[0]["refusal"]["multipliers"])
        yield _line(f"{name} requests refused at {steps}", [_shares(one["refusal"][name]) for one in figures])
    for behavior in figures[0]["open"]:
        yield _line(
            f"{behavior}: open answers with the attribute at −1, 0, 1 (own judge)",
            [_shares(one["open"][behavior]["shares"]) for one in figures],
        )
    for name in ("plain", "erased"):
        yield _line(f"refusal probe by block, {name}", [_shares(one["erasure"][name]) for one in figures])
    for name in ("same", "other"):
        yield _line(f"mean gradient cosine, {name} meaning", [f"{one['thesaurus'][name]:.3f}" for one in figures])
    yield _line("the surprise word's nearest", [", ".join(one["thesaurus"]["nearest"]) for one in figures])


def _shares(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _line(name: str, values: list[str]) -> str:
    return f"| {name} | {' | '.join(values)} |"


def _hashes() -> Iterator[str]:
    yield "| file | sha256 |"
    yield "|---|---|"
    for name, digest in read_hashes().items():
        yield f"| `{name}` | `{digest}` |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.demo.card", description="Write the measured figures into the card.")
    parser.add_argument("figures", type=Path, nargs="+", help="one JSON file of evaluate per seed, named by its seed")
    parser.add_argument("--shipped", required=True, help="the seed that is shipped: the name of its file without .json")
    arguments = parser.parse_args()
    figures = {path.stem: json.loads(path.read_text()) for path in arguments.figures}
    if arguments.shipped not in figures:
        parser.error(f"--shipped {arguments.shipped}: no such file among {', '.join(figures)}")
    write(tables(figures, arguments.shipped))


if __name__ == "__main__":
    main()
