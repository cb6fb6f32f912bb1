"""What is found, on one line each, safe for a terminal."""

from __future__ import annotations

from engine.cd.search.records import Attempt
from engine.printable import printable


def told(attempt: Attempt) -> str:
    """An attempt in one line."""
    name = (
        f"repeat {attempt.repeat + 1}, cycle {attempt.cycle}"
        if attempt.number
        else f"repeat {attempt.repeat + 1}, prompts given"
    )
    if attempt.failure:
        return f"search: {name}: nothing was kept: {printable(attempt.failure)}"
    best = max(attempt.entries, key=lambda entry: entry.divergence, default=None)
    shown = f", highest {best.divergence:.3f}: {short(best.prompt, 60)}" if best else ""
    dropped = "".join(f", {count} {reason}" for reason, count in attempt.dropped.items())
    return f"search: {name}: {len(attempt.entries)} kept{dropped}{shown}"


def short(text: str, width: int) -> str:
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= width else shown[: width - 1] + "…"
