"""Who judges, by which rubric, and how hard a server may be pressed: what `tiller judge` and the methods' scoring steps share.

Only what changes a verdict reaches the scorer's name (`engine.judges.judge`); none of it belongs to the key of what is judged.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.remote.settings import ServerSettings
from engine.settings import StepSettings, option

SERVER = "server"
"""Of `judge`: a server that is only named, by those who show what it has judged."""


class WhoJudgesSettings(StepSettings):
    """A model in this process, a server, or rules."""

    judge: str = option(
        "demo",
        "'demo', a model folder or a hub id (judges in this process); http(s)://HOST/v1 (any OpenAI-compatible server); "
        "'openai'; 'server' (names a server's judge to show its scores, asks nothing); 'rule' (for rubrics that need no model)",
        affects_result=False,
    )
    judge_model: str | None = option(
        None, "the model's name at the server (none: the only one it serves)", affects_result=False
    )
    judge_revision: str | None = option(
        None,
        "tells apart models of one name at a server (a commit, a hash of the weights): part of the scorer's name",
        affects_result=False,
    )
    judge_key: str = option(
        "OPENAI_API_KEY",
        "NAME of the variable that holds the server's key; of a service TILLER_KEY_<NAME>",
        affects_result=False,
    )
    judge_temperature: float = option(0.0, "of a server's replies; 0 takes the likeliest", affects_result=False, ge=0)
    judge_seed: int | None = option(None, "of a server's replies, where it takes one", affects_result=False)


class BackendSettings(ServerSettings, WhoJudgesSettings):
    """Who judges, and how it is asked."""

    judge_quantize: Literal["8bit", "4bit"] | None = option(
        None, "load a local judge's weights quantised", affects_result=False
    )
    judge_device_map: str | None = option(None, "'auto' spreads a local judge over devices (none: one)", affects_result=False)
    judge_batch_size: int = option(256, "questions to a local judge per forward pass", affects_result=False, ge=1)


class JudgeSettings(BackendSettings):
    """Who judges the answers, and by which rubric."""

    rubric: str | None = option(
        None, "a rubric's id or .toml file (none: the one that fits the behaviour); `tiller judge rubrics` lists them",
        affects_result=False,
    )  # fmt: skip
    attribute: str | None = option(None, "what a rubric about 'the attribute' asks about", affects_result=False)
    again: tuple[Literal["failed", "unparsed"], ...] = option(
        (), "judge these once more: failed is asked again, unparsed replies are read again", affects_result=False
    )


class ScoreSettings(JudgeSettings):
    """Judge the responses of cells, each once; what this scorer has judged already is not asked again."""

    step: ClassVar[str] = "judge.score"

    cell: tuple[str, ...] = option((), "keys of cells, or beginnings of them (none: all with responses)", positional=True)


class CompareSettings(JudgeSettings):
    """Compare the responses of two cells to the same prompts, with a rubric that asks which of two answers."""

    step: ClassVar[str] = "judge.compare"

    first: str = option(..., "key of a cell, or the beginning of one", positional=True)
    second: str = option(..., "the cell it is compared with", positional=True)
    orders: Literal["both", "ab"] = option("both", "show each pair in both orders, or the first cell's answer first only")


class CheckSettings(BackendSettings):
    """Ask a judge about known cases: does it point in the right direction, how often is it right, does the order sway it?"""

    step: ClassVar[str] = "judge.check"

    rubric: tuple[str, ...] = option(
        ..., "rubrics to check, by id or .toml file; 'demo' is all of the demo judge's", min_length=1
    )
    attribute: str | None = option(None, "what a rubric about 'the attribute' asks about")
    against: str | None = option(None, "another judge (as --judge) whose agreement with this one is measured")
    against_model: str | None = option(None, "the other judge's model, as --judge-model")
    against_revision: str | None = option(None, "the other judge's revision, as --judge-revision")
    against_key: str = option("OPENAI_API_KEY", "the other judge's key, as --judge-key")
    accuracy: float = option(0.8, "a judge that is right less often is not trusted", ge=0.5, le=1)

    def other(self) -> BackendSettings | None:
        """The judge to compare with: asked like this one, but for who it is."""
        if self.against is None:
            return None
        named = {
            "judge": self.against,
            "judge_model": self.against_model,
            "judge_revision": self.against_revision,
            "judge_key": self.against_key,
        }
        return BackendSettings(**{name: getattr(self, name) for name in BackendSettings.model_fields} | named)


class TableSettings(StepSettings):
    """Means of everything that was judged, with 95 % intervals over prompts and what the judge gave no answer to."""

    step: ClassVar[str] = "judge.table"

    cell: tuple[str, ...] = option((), "keys of cells, or beginnings of them (none: all)", positional=True)
    scorer: tuple[str, ...] = option((), "only scorers whose name contains one of these (none: all)")


class RubricsSettings(StepSettings):
    """List the rubrics that can be judged by, or show one."""

    step: ClassVar[str] = "judge.rubrics"

    name: str | None = option(None, "a rubric's id or .toml file", positional=True)
    attribute: str | None = option(None, "what a rubric about 'the attribute' asks about")
