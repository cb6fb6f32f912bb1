"""What a search has found, as tables for a terminal, as files, and as curves over cycles.

Owns the columns. Everything is read from attempts; views are sorted here and nowhere else.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

from engine.atomic import write_whole
from engine.cd.search.lines import short
from engine.cd.search.records import Attempt, Entry, bank_of
from engine.cd.search.statistics import CycleStatistics, Spread
from engine.plots import Curve, CurvePicture, Panel, Point
from engine.printable import printable
from engine.store import note_artifact
from engine.workspace import Workspace

Sort = Literal["divergence", "criterion", "cycle"]
Attempts = Mapping[tuple[int, int], Attempt]

_BANK = ("divergence", "prompt", "response", "criterion", "cycle", "repeat", "prompt_id")
_PROMPT_WIDTH, _RESPONSE_WIDTH = 38, 26


def save_results(workspace: Workspace, folder: Path, key: str, attempts: Attempts) -> None:
    """`bank.tsv`, `bank.json` and `cycles.tsv` in the search's folder: the same bytes whenever the same was found."""
    entries = bank_of(attempts)
    files = {
        "bank.tsv": table_text(entries, "\t"),
        "bank.json": json.dumps([asdict(entry) for entry in entries], ensure_ascii=False, indent=1) + "\n",
        "cycles.tsv": cycles_text(attempts),
    }
    for name, content in files.items():
        write_whole(folder / name, content.encode())
        note_artifact(workspace, folder / name, "searches", key)


def table_text(entries: Sequence[Entry], delimiter: str) -> str:
    """The bank with a heading line."""
    rows = [[getattr(entry, name) for name in _BANK] for entry in entries]
    return _separated([_BANK, *rows], delimiter)


def cycles_text(attempts: Attempts) -> str:
    """One line per attempt: repeat and cycle (from 1 on; cycle 0 holds the prompts given), what was kept, all statistics."""
    measured = [field.name for field in fields(CycleStatistics)]
    parts = [field.name for field in fields(Spread)]
    head = [
        "repeat",
        "attempt",
        "cycle",
        "proposed",
        "kept",
        "failure",
        *(f"{one}_{part}" for one in measured for part in parts),
    ]
    rows = []
    for attempt in attempts.values():
        spreads = [getattr(attempt.statistics, name) for name in measured]
        numbers = [getattr(one, part) if one else "" for one in spreads for part in parts]
        told = [
            attempt.repeat + 1,
            attempt.number,
            attempt.cycle,
            attempt.proposed,
            len(attempt.entries),
            attempt.failure or "",
        ]
        rows.append([*told, *numbers])
    return _separated([head, *rows], "\t")


def in_order(entries: Sequence[Entry], sort: Sort) -> list[Entry]:
    """Highest divergence, or met criterion, first; or cycle by cycle. Within equals by divergence."""
    first = {"divergence": lambda _: 0.0, "criterion": lambda e: -(e.criterion or 0.0), "cycle": lambda e: (e.repeat, e.cycle)}[
        sort
    ]
    return sorted(entries, key=lambda entry: (first(entry), -entry.divergence, entry.prompt_id))


def tables(entries: Sequence[Entry], sort: Sort, top: int) -> str:
    """The first `top` in this order and the last, or all where that is no more."""
    ordered = in_order(entries, sort)
    if len(ordered) <= 2 * top:
        return f"All {len(ordered)} prompts, by {sort}\n\n{_lines(ordered)}"
    names = ("highest", "lowest") if sort == "divergence" else ("first", "last")
    ends = zip(names, (ordered[:top], ordered[-top:]), strict=True)
    return "\n\n".join(f"The {top} {name} of {len(ordered)} prompts, by {sort}\n\n{_lines(part)}" for name, part in ends)


def supposed(attempts: Attempts) -> str:
    """The hypotheses that an assistant wrote last, before the prompts of its cycle; empty where it wrote none."""
    told = [attempt for attempt in attempts.values() if attempt.hypotheses]
    if not told:
        return ""
    lines = [f"- {printable(text)}" for text in told[-1].hypotheses]
    return "\n".join([f"What the assistant supposed in repeat {told[-1].repeat + 1}, cycle {told[-1].cycle}:", *lines])


def picture(attempts: Attempts, measure: str) -> CurvePicture:
    """Divergence of the bank, and of what each cycle built on, over the cycles; a panel per repeat."""
    return CurvePicture(tuple(_panel(repeat, attempts, measure) for repeat in sorted({repeat for repeat, _ in attempts})))


def _panel(repeat: int, attempts: Attempts, measure: str) -> Panel:
    done = [attempt for (of, _), attempt in attempts.items() if of == repeat and not attempt.failure]
    found = {attempt.cycle: [entry.divergence for entry in attempt.entries] for attempt in done if attempt.entries}
    curves = {
        "shown to the next cycle": [(a.cycle, a.statistics.divergence_subsample, len(a.next_shown)) for a in done],
        "whole bank": [(a.cycle, a.statistics.divergence_full, None) for a in done],
    }
    sizes, size = {}, 0
    for attempt in done:
        sizes[attempt.cycle] = size = size + len(attempt.entries)
    made = [
        Curve(name, tuple(_point(cycle, one, count or sizes[cycle]) for cycle, one, count in spreads if one))
        for name, spreads in curves.items()
    ]
    best = [(cycle, max(values)) for cycle, values in found.items()]
    made.append(Curve("best new prompt", tuple(Point(cycle, value, value, value, 1, 1) for cycle, value in best)))
    return Panel(
        f"Search, repeat {repeat + 1}",
        "cycle",
        measure,
        tuple(curve for curve in made if curve.points),
        {},
        "bands: one standard deviation of the prompts, at most their range",
        y_range=None,
        x_name="cycle",
    )


def _point(cycle: int, one: Spread, count: int) -> Point:
    return Point(cycle, one.mean, max(one.mean - one.sd, one.min), min(one.mean + one.sd, one.max), count, count)


def _lines(entries: Sequence[Entry]) -> str:
    judged = any(entry.criterion is not None for entry in entries)
    head = f"{'divergence':>10}  {'cycle':>5}  {'meets  ' if judged else ''}{'prompt':<{_PROMPT_WIDTH}}  response"
    lines = [head]
    room = _RESPONSE_WIDTH - (7 if judged else 0)
    for entry in entries:
        meets = "" if not judged else f"{'–' if entry.criterion is None else f'{entry.criterion:g}':>5}  "
        left = f"{entry.divergence:>10.3f}  {entry.cycle:>5}  {meets}{short(entry.prompt, _PROMPT_WIDTH):<{_PROMPT_WIDTH}}"
        lines.append(f"{left}  {short(entry.response, room)}".rstrip())
    return "\n".join(lines)


def _separated(rows: Sequence[Sequence[Any]], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()
