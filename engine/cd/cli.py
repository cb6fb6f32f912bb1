"""`tiller cd STEP …`: the table of steps about two models, in the order of an investigation."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cd import score_settings as score
from engine.cd import settings as steps
from engine.cd import show_settings as show
from engine.cd.analysis import settings as analysis
from engine.cd.analysis import stats_settings as stats
from engine.cd.pipeline import settings as pipeline
from engine.cd.search import settings as search
from engine.command_line import Steps, run_step

STEPS: Steps = {
    "decode": (steps.DecodeSettings, "write texts with two models and measure where they differ"),
    "score": (score.ScoreSettings, "measure texts from elsewhere with two models"),
    "show": (show.ShowSettings, "show texts, coloured and sorted by how the models differ; cells side by side"),
    "stats": (stats.StatsSettings, "how divergences, perplexities and entropies are spread, and whether runs differ"),
    "ngrams": (stats.NgramSettings, "the words or tokens that the divergence falls on, as a table and a cloud"),
    "analyse": (analysis.AnalyseSettings, "find what tells clusters or two cells' texts apart, and test it"),
    "search show": (search.SearchShowSettings, "show what a search has found"),
    "search import": (search.SearchImportSettings, "turn a prompt file of the original program into a wording"),
    "search": (search.SearchSettings, "search for prompts on which the two models differ"),
    "pipeline report": (pipeline.PipelineReportSettings, "show what a run of the pipeline found"),
    "pipeline": (pipeline.PipelineSettings, "propose hypotheses on how they differ, and test them"),
    "prompts list": (pipeline.PromptsListSettings, "list the prompts of a file"),
    "prompts search": (pipeline.PromptsSearchSettings, "find prompts in it"),
    "prompts add": (pipeline.PromptsAddSettings, "add prompts to it"),
    "prompts edit": (pipeline.PromptsEditSettings, "change a prompt of it"),
    "prompts delete": (pipeline.PromptsDeleteSettings, "delete prompts from it"),
    "prompts generate": (pipeline.PromptsGenerateSettings, "let an assistant write prompts into it"),
}


def main(argv: Sequence[str]) -> int:
    return run_step("cd", "engine.cd.steps", STEPS, argv)
