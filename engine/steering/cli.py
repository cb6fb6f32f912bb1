"""`tiller steer STEP …`: the table of steering steps, in the order of an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from engine.command_line import Steps, run_step
from engine.steering import settings as steps
from engine.steering.editing import settings as editing
from engine.steering.figures import settings as figures
from engine.steering.fold_settings import FoldSettings
from engine.steering.tuning.settings import FinetuneSettings

STEPS: Steps = {
    "vectors": (steps.MakeVectorsSettings, "make behaviours' steering vectors and choose a layer"),
    "fit": (editing.FitSettings, "fit what concept edits learn from activations: leace, quad, quadlda, scrub"),
    "import": (steps.ImportSettings, "turn published .pt vectors into a vectors file"),
    "apply": (steps.ApplySettings, "measure and write answers of the steered model over a sweep"),
    "score": (steps.ScoreSettings, "judge the answers of a sweep"),
    "plot": (figures.PlotSettings, "show a sweep as tables and curves, and save it as PNG, SVG and CSV"),
    "figure layers": (figures.LayersSettings, "which layer works, and what it costs"),
    "figure behaviors": (figures.BehaviorsSettings, "the effect on several behaviours, a line each"),
    "figure systems": (figures.SystemsSettings, "steering with, against and without a system prompt"),
    "figure categories": (figures.CategoriesSettings, "TruthfulQA and MMLU by category"),
    "figure finetuning": (figures.FinetuningSettings, "steering of fine-tuned models beside their base"),
    "figure similarity": (figures.SimilaritySettings, "how alike the vectors of layers, behaviours and models are"),
    "figure pca": (figures.PcaSettings, "saved activations and vectors in the plane"),
    "show tokens": (figures.TokensSettings, "how far every token's state lies along the vector"),
    "show lens": (figures.LensSettings, "what the model would say after every step of every block"),
    "finetune": (FinetuneSettings, "train the model on the behaviour's A/B letters: the baseline beside steering"),
    "fold": (FoldSettings, "write a steered model that any server can serve without hooks"),
    "report": (figures.ReportSettings, "show the sweeps of several behaviours; --html writes them as one page"),
}


def main(argv: Sequence[str]) -> int:
    return run_step("steer", "engine.steering.steps", STEPS, argv)
