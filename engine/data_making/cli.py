"""`tiller data STEP …`: the table of data steps."""

from __future__ import annotations

from collections.abc import Sequence

from engine.command_line import Steps, run_step
from engine.data_making import settings as steps

STEPS: Steps = {
    "make contrast": (steps.ContrastSettings, "an assistant writes contrast pairs of a behaviour, as a CAA-form data set"),
    "make queries": (steps.QueriesSettings, "an assistant writes questions to put to a model"),
    "make phrases": (steps.PhrasesSettings, "an assistant writes phrases for the thesaurus"),
    "process": (steps.ProcessSettings, "raw items of behaviours → the files that vectors are made from and models are asked"),
    "check": (steps.CheckSettings, "say what files of data are, and what is wrong with them"),
    "get caa": (steps.GetSettings, "download the published CAA data sets"),
}


def main(argv: Sequence[str]) -> int:
    return run_step("data", "engine.data_making.steps", STEPS, argv)
