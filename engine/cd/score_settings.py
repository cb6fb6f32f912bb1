"""The settings of `tiller cd score`: texts from elsewhere, measured by two models. No torch."""

from __future__ import annotations

from typing import ClassVar

from engine.cd.settings import MeasureSettings, TextSettings
from engine.settings import option


class ScoredSettings(MeasureSettings):
    """What decides the numbers of a text that is given. The texts themselves stay out of keys: more of them extend a cell."""

    step: ClassVar[str] = "cd.score"

    starting_weight: float = option(1.0, "weight of S in --legacy-divergence")
    comparison_weight: float = option(-1.0, "weight of C in --legacy-divergence")

    def scored_settings(self) -> ScoredSettings:
        """The part that names the texts' cell."""
        return ScoredSettings(**{name: getattr(self, name) for name in ScoredSettings.model_fields})


class ScoreSettings(ScoredSettings):
    """Measure texts from elsewhere: how two models' predictions differ at each of their tokens."""

    file: str | None = option(
        None,
        "a file of texts: .csv or .tsv with a column 'text', 'decoding' or 'texts', .jsonl with such a key, or .txt with one "
        "text a line; what stands before a '|' in 'decoding' is its prompt",
        affects_result=False,
        positional=True,
    )
    text: tuple[str, ...] = option((), "texts on the command line", affects_result=False)
    prompt: str | None = option(None, "what these texts, or all of the file's without a prompt, follow", affects_result=False)
    column: str | None = option(
        None, "of a table or of JSON records: where texts are, if named otherwise", affects_result=False
    )
    prompt_column: str | None = option(
        None, "likewise, where their prompts are (none: 'prompt' if there is one)", affects_result=False
    )
    limit: int | None = option(None, "only the first so many texts", affects_result=False, ge=1)
    show: bool = option(False, "print the texts coloured by divergence", affects_result=False)
    name: str | None = option(None, "what to call these texts' cell in other commands", affects_result=False)


def scored_of(settings: TextSettings) -> ScoredSettings:
    """How texts from elsewhere are measured where others are written with `settings`."""
    return ScoredSettings(**{name: getattr(settings, name) for name in ScoredSettings.model_fields})
