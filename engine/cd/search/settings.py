"""The settings of `tiller cd search` and its two companions. No torch, no network.

Names of assistant, embedder and judge stay out of keys: their identities stand for them (`opening.py`). Options that a preset
may fill are None until `resolved`, so that a given value always wins.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.cd.assistant_settings import AskedAssistantSettings
from engine.cd.search.presets import PLAIN, Preset, filled
from engine.cd.settings import PromptSettings, Region, TextSettings
from engine.embedding_settings import EmbedderSettings
from engine.judges.settings import BackendSettings
from engine.settings import StepSettings, option

Shown = Literal["real", "random", "none"]
Responder = Literal["contrast", "starting", "comparison"]


class RankSettings(StepSettings):
    """What a prompt is worth, and which of the bank go on."""

    measure: str = option("kl", "what prompts are ranked by: a measure of `tiller cd decode`, its mean over a text's tokens")
    region: Region = option("generated", "over which tokens: of the written text, of the prompt, or of both")
    direction: Literal["high", "low"] = option("high", "look for prompts with a high divergence, or with a low one")
    divergence_weight: float | None = option(None, "of the divergence in a prompt's worth (none: the preset's, else 1)", ge=0)
    criterion_weight: float | None = option(None, "of the criterion's verdict (none: the preset's, else 0)", ge=0)
    diversity_weight: float | None = option(
        None, "of the distance to the bank's other prompts (none: the preset's, else 1; 0 loads no embedder)", ge=0
    )
    shown: int = option(10, "prompts of the bank that the next cycle builds on", ge=1)
    selection_temperature: float | None = option(
        None, "they are drawn by their worth over this; 0 takes the most worth (none: 0.5 with an assistant, else 0.1)", ge=0
    )


class CriterionSettings(StepSettings):
    """A condition of the user's own on a prompt and its response."""

    criterion: str | None = option(
        None, "what the assistant is told to judge by yes or no (none: the wording's, where it has one)", affects_result=False
    )
    criterion_rubric: str | None = option(
        None, "let --judge judge by this rubric instead: an id or a .toml file", affects_result=False
    )
    require_criterion: bool = option(False, "keep only prompts that meet it")


class ProposalSettings(StepSettings):
    """How new prompts come about. Without an assistant the models themselves write and change them."""

    proposals: int | None = option(None, "prompts asked for, or made, in a cycle (none: 7 of an assistant, else 24)", ge=1)
    wording: str | None = option(
        None, "what the assistant is told: a .toml or .json file, 'divergences', 'no-divergences' or 'hypotheses'",
        affects_result=False,
    )  # fmt: skip
    shown_divergences: Shown | None = option(
        None, "beside the prompts shown: their divergences, random numbers (a control) or none (none given: the preset's)"
    )
    newline_fallback: bool = option(False, "take the lines of a reply that holds no JSON object, as prompts")
    fresh: float = option(
        0.25, "offline: share of proposals that a model writes from nothing; the others change prompts", ge=0, le=1
    )
    proposed_tokens: int = option(32, "offline: longest text that a model writes for a prompt, in tokens", ge=1)
    proposal_temperature: float = option(1.0, "offline: of the models when they write prompts", gt=0)
    require_unique: bool = option(True, "no prompt enters the bank twice")


class SearchSettings(
    RankSettings,
    CriterionSettings,
    ProposalSettings,
    AskedAssistantSettings,
    BackendSettings,
    EmbedderSettings,
    PromptSettings,
    TextSettings,
):
    """Search for prompts on which two models differ. Prompts given are where it begins."""

    step: ClassVar[str] = "cd.search"

    preset: Preset | None = option(
        None, "fill options that are not given as one of the published searches", affects_result=False
    )
    cycles: int | None = option(None, "successful cycles of each repeat (none: the preset's, else 8)", ge=0)
    repeats: int | None = option(None, "searches that begin anew (none: the preset's, else 1)", affects_result=False, ge=1)
    max_failed_cycles: int = option(20, "give up after so many cycles in a row that found nothing", affects_result=False, ge=1)
    response_from: Responder = option(
        "contrast", "the response beside a prompt: the first contrasted text, or the likeliest text of one of the models alone"
    )

    def resolved(self) -> SearchSettings:
        """With every option that a preset may fill, and without the preset: what keys and records hold."""
        given = {name: getattr(self, name) for name in PLAIN}
        chosen = filled(given, self.preset) | {"preset": None}
        for name, asking, offline in (("proposals", 7, 24), ("selection_temperature", 0.5, 0.1)):
            if getattr(self, name) is None:
                chosen[name] = asking if self.assistant else offline
        return self.model_copy(update=chosen)


class SearchShowSettings(StepSettings):
    """Show what a search has found so far: tables, and a curve of divergence over cycles."""

    step: ClassVar[str] = "cd.search.show"

    search: str | None = option(None, "key of the search, or the beginning of one (none: the latest)", positional=True)
    sort: Literal["divergence", "criterion", "cycle"] = option("divergence", "order of the table")
    top: int = option(10, "rows of each table: the highest and the lowest", ge=1)
    csv: bool = option(False, "print the whole bank as CSV instead of tables")


class SearchImportSettings(StepSettings):
    """Turn a prompt file of the original program into a wording of ours."""

    step: ClassVar[str] = "cd.search.import"

    file: str = option(..., "the original's JSON file", positional=True)
    to: str | None = option(None, "the file to write (none: beside it, with -wording before .json)")
    without_divergences: bool = option(False, "drop the part that speaks of divergences")
    overwrite: bool = option(False, "replace a file that is there")
