"""Waiting for conditions, never for time."""

from __future__ import annotations

import time


def until(condition, what: str, seconds: float = 60.0):
    """The first true value of `condition()`; fails when none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:g} s: {what}")
