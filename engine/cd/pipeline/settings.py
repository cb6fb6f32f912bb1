"""The settings of `tiller cd pipeline` and of the prompt manager. No torch, no network.

What ends a run (cycles, budgets) is in no key: the same run goes on when there is more of it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.assistants.settings import AssistantSettings
from engine.cd.assistant_settings import AskedAssistantSettings
from engine.cd.settings import PromptSettings, TextSettings
from engine.settings import StepSettings, option

PROMPT_FILE = "prompts/prompts.jsonl"


class AskingSettings(AskedAssistantSettings):
    """Who proposes and judges, if anybody is asked."""

    assistant_max_tokens: int = option(2000, "longest reply of the assistant, in tokens", ge=16)
    judge: str | None = option(
        None, "who answers the questions of criteria, named like --assistant (none: the assistant)", affects_result=False
    )
    judge_model: str | None = option(None, "the judge's name at its server", affects_result=False)
    judge_key: str = option("OPENAI_API_KEY", "NAME of the variable that holds the judge's key", affects_result=False)

    def judge_settings(self) -> AssistantSettings | None:
        """What opens the judge; None where it is the assistant, or nobody."""
        asked = self.assistant_settings()
        if asked is None or self.judge is None:
            return None
        named = {"assistant": self.judge, "assistant_model": self.judge_model, "assistant_key": self.judge_key}
        return asked.model_copy(update=named | {"temperature": 0.0})


class PipelineSettings(AskingSettings, PromptSettings, TextSettings):
    """Propose hypotheses on how two models differ, test each on held-out prompts, and go on from what was found."""

    step: ClassVar[str] = "cd.pipeline"

    samples: int = option(8, "texts per prompt of each model, and of their contrast on development prompts", ge=2)
    measure: Literal["kl", "reverse_kl", "jeffreys", "js", "tv"] = option("kl", "the divergence of prompts")
    topics: tuple[str, ...] = option((), "what prompts are written about, and how far prompts are about each of these is told")
    hypotheses: int = option(3, "proposed in each cycle, at most", ge=1, le=20)
    prompts_per_cycle: int = option(40, "development prompts that each cycle looks at anew, at most", ge=4)
    new_prompts: int = option(8, "prompts that the assistant writes for each cycle", ge=1, le=50)
    experiment_prompts: int = option(16, "prompts that the assistant writes for each experiment", ge=4, le=100)
    test_prompts: int = option(40, "held-out prompts that each test uses, at most; controls likewise", ge=4)
    held_out: float = option(0.5, "share of prompts that test and never suggest", gt=0, lt=1)
    permutations: int = option(9999, "of each test; the smallest p is 1 over one more", ge=99)
    alpha: float = option(0.05, "expected share of false ones among the supported hypotheses of a run, at most", gt=0, lt=1)
    smallest_effect: float = option(0.2, "a hypothesis is refuted where its effect is surely below this", gt=0)
    cell: str | None = option(
        None,
        "look first at the texts of this cell of `tiller cd decode`: its key, or the beginning of it",
        affects_result=False,
    )
    cycles: int = option(5, "stop after so many", affects_result=False, ge=1)
    quiet_cycles: int = option(2, "stop after so many without a newly supported hypothesis", affects_result=False, ge=1)
    stable_cycles: int = option(
        3, "stop when the set of significant hypotheses (Benjamini-Hochberg) is not empty and has not changed for so many",
        affects_result=False, ge=1,
    )  # fmt: skip
    max_requests: int | None = option(None, "to assistant and judge, over all commands of a run", affects_result=False, ge=1)
    max_total_tokens: int | None = option(None, "of these requests and their replies", affects_result=False, ge=1)
    max_texts: int | None = option(None, "of the two models and their contrast, written or found", affects_result=False, ge=1)
    show: bool = option(True, "print tables and charts", affects_result=False)


class PipelineReportSettings(StepSettings):
    """Show what a run found, as it stands on disk; loads no model and asks nobody."""

    step: ClassVar[str] = "cd.pipeline_report"

    run: str | None = option(None, "key of a run, or the beginning of one (none: the only one)", positional=True)


class PromptFileSettings(StepSettings):
    """A file of prompts that is kept by hand and by assistants."""

    file: str = option(PROMPT_FILE, "the file, from the workspace's folder", affects_result=False)


class PromptsListSettings(PromptFileSettings):
    """List the prompts of a file, a page at a time."""

    step: ClassVar[str] = "cd.prompts_list"

    tag: tuple[str, ...] = option((), "only those with one of these tags")
    page: int = option(1, "which page", ge=1)
    per_page: int = option(10, "prompts on a page", ge=1)


class PromptsSearchSettings(PromptsListSettings):
    """Find prompts by a part of their text, a pattern, or roughly."""

    step: ClassVar[str] = "cd.prompts_search"

    what: str = option(..., "what is searched for", positional=True)
    by: Literal["part", "regex", "fuzzy"] = option("part", "a part of the text; a regular expression; or spelt alike")
    similarity: float = option(70.0, "fuzzy: how much alike, in percent", ge=0, le=100)


class PromptsAddSettings(PromptFileSettings):
    """Add prompts to a file; texts that are there already are refused."""

    step: ClassVar[str] = "cd.prompts_add"

    text: tuple[str, ...] = option(..., "the prompts", positional=True, min_length=1)
    tag: tuple[str, ...] = option((), "tags of all of them")
    source: str = option("hand", "where they are from")


class PromptsEditSettings(PromptFileSettings):
    """Change a prompt's text or tags; its id stays."""

    step: ClassVar[str] = "cd.prompts_edit"

    id: str = option(..., "the prompt's id, or the beginning of one", positional=True)
    text: str | None = option(None, "the new text")
    tag: tuple[str, ...] = option((), "the new tags, in place of the old")
    no_tags: bool = option(False, "take its tags away")


class PromptsDeleteSettings(PromptFileSettings):
    """Delete prompts from a file, and say what is gone."""

    step: ClassVar[str] = "cd.prompts_delete"

    id: tuple[str, ...] = option(..., "ids, or beginnings of them", positional=True, min_length=1)


class PromptsGenerateSettings(AskedAssistantSettings, PromptFileSettings):
    """Let an assistant write prompts about topics, and add those that are new."""

    step: ClassVar[str] = "cd.prompts_generate"

    assistant_max_tokens: int = option(2000, "longest reply of the assistant, in tokens", ge=16)
    topic: tuple[str, ...] = option(..., "what they are about", positional=True, min_length=1)
    count: int = option(3, "per topic", ge=1, le=50)
    seed: int = option(0, "of the assistant's draws", ge=0)
