"""`tiller steer STEP …`: the table of steering steps, in the order of an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from engine.command_line import Steps, run_step
from engine.steering import settings as steps

STEPS: Steps = {
    "vectors": (steps.MakeVectorsSettings, "make behaviours' steering vectors and choose a layer"),
    "apply": (steps.ApplySettings, "measure and write answers of the steered model over a sweep"),
    "score": (steps.ScoreSettings, "judge the answers of a sweep"),
    "plot": (steps.PlotSettings, "show a sweep as table and curve, and save it as PNG and CSV"),
    "report": (steps.ReportSettings, "show the sweeps of several behaviours"),
}


def main(argv: Sequence[str]) -> int:
    return run_step("steer", "engine.steering.steps", STEPS, argv)
