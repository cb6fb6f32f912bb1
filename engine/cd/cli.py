"""`tiller cd STEP …`: the table of steps about two models, in the order of an investigation."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cd import settings as steps
from engine.command_line import Steps, run_step

STEPS: Steps = {
    "decode": (steps.DecodeSettings, "write texts with two models and measure where they differ"),
}


def main(argv: Sequence[str]) -> int:
    return run_step("cd", "engine.cd.steps", STEPS, argv)
