"""`tiller judge STEP …`: the table of judging steps, in the order in which they are used."""

from __future__ import annotations

from collections.abc import Sequence

from engine.command_line import Steps, run_step
from engine.judges import settings as steps

STEPS: Steps = {
    "rubrics": (steps.RubricsSettings, "list the rubrics, or show one"),
    "check": (steps.CheckSettings, "ask a judge about known cases, before it is trusted"),
    "score": (steps.ScoreSettings, "judge responses"),
    "compare": (steps.CompareSettings, "judge which of two cells' responses is better, or more of an attribute"),
    "table": (steps.TableSettings, "means of what was judged, with intervals and what got no answer"),
}


def main(argv: Sequence[str]) -> int:
    return run_step("judge", "engine.judges.steps", STEPS, argv)
