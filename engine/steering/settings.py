"""The settings of the steering steps: what the command line, the console's form, the keys and the records are all made of.

A later step's settings contain the earlier ones', so each names its inputs by key and nothing is passed on the side. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from engine.families import SiteKind
from engine.judges.settings import JudgeSettings
from engine.positions import PositionRule
from engine.settings import StepSettings, option

SWEEP = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)


class ModelSettings(StepSettings):
    """Which model, on which data. Names and places stay out of keys: the hashes of weights and data stand for them."""

    model: str = option("demo", "'demo', 'demo-base', a model folder, or a hub id", affects_result=False)
    revision: str | None = option(None, "commit, tag or branch of a hub model", affects_result=False)
    quantize: Literal["8bit", "4bit"] | None = option(None, "load the weights quantised")
    dtype: Literal["float32", "bfloat16", "float16"] | None = option(None, "number type (none: the checkpoint's own)")
    device_map: str | None = option(None, "'auto' spreads a model over devices (none: one)", affects_result=False)
    dataset: str = option("demo", "'demo', or a folder in the layout of the CAA data sets", affects_result=False)
    reading: Literal["prompt", "letter"] = option("prompt", "where demo pairs are read: prompt's end or answer letter")
    hold_out: int = option(50, "pairs of a CAA-form data set kept to choose the layer on, not in the vectors", ge=0)
    batch_size: int = option(256, "rows per forward pass", affects_result=False, ge=1)


class VectorSettings(ModelSettings):
    """Mean-difference vectors of one behaviour, at every layer."""

    step: ClassVar[str] = "steer.vectors"

    behavior: str = option("agree", "the behaviour whose vector is made")

    def vector_settings(self) -> VectorSettings:
        """The part of a later step's settings that names its vectors."""
        return VectorSettings(**{name: getattr(self, name) for name in VectorSettings.model_fields})


class SweepSettings(StepSettings):
    """What is added, where, how often; and how answers are drawn."""

    site: SiteKind = option("stream", "steer the stream after a block, or its attention or MLP output")
    layer: tuple[int, ...] = option((), "layers, each a sweep of its own (none: the one chosen with the vectors)", axis=True)
    multipliers: tuple[float, ...] = option(SWEEP, "how many times the vector is added", axis=True, min_length=1)
    positions: PositionRule = option("completion", "which token positions are steered")
    marker: str | None = option(None, "for --positions from_marker: the text from whose end on to steer")
    control: Literal["none", "random"] = option("none", "steer with random vectors of equal norm instead")
    control_seed: tuple[int, ...] = option((0,), "seeds of the random vectors, each a vector", axis=True, min_length=1)
    questions: Literal["both", "ab", "open"] = option("both", "ask A/B items, open prompts, or both", affects_result=False)
    limit: int | None = option(None, "only the first so many items and prompts", affects_result=False, ge=1)
    samples: int = option(4, "answers per prompt and multiplier", affects_result=False, ge=1)
    max_new_tokens: int = option(50, "longest answer, in tokens", ge=1)
    temperature: float = option(1.0, "0 takes the likeliest token always", ge=0)
    top_k: int = option(0, "draw among so many likeliest tokens (0: all); applied after the temperature", ge=0)
    top_p: float = option(1.0, "draw among the likeliest tokens of this share; applied after top-k", gt=0, le=1)
    seed: int = option(0, "of the answers; each row draws on its own", ge=0)

    def cells(self) -> Iterator[Self]:
        """One per layer × multiplier (× random vector): without a control no seed belongs to the cell."""
        settings = self if self.control == "random" else self.model_copy(update={"control_seed": ()})
        return super(SweepSettings, settings).cells()


class ApplySettings(SweepSettings, VectorSettings):
    """A sweep of one behaviour's vector."""

    step: ClassVar[str] = "steer.apply"


class ScoreSettings(JudgeSettings, ApplySettings):
    """Judging the answers of a sweep; with `--control random` those of the random vectors too."""

    step: ClassVar[str] = "steer.score"

    def apply_settings(self) -> ApplySettings:
        """The part that names the cells: their keys are those of the `apply` step."""
        return ApplySettings(**{name: getattr(self, name) for name in ApplySettings.model_fields})


class PlotSettings(ScoreSettings):
    """Table and curve of a sweep; with `--control random` the random vectors' beside them."""

    step: ClassVar[str] = "steer.plot"


class ReportSettings(JudgeSettings, SweepSettings, ModelSettings):
    """Table and curves of several behaviours' sweeps together."""

    step: ClassVar[str] = "steer.report"

    behaviors: tuple[str, ...] = option(("agree", "refuse"), "the behaviours to report", min_length=1)

    def plots(self) -> list[PlotSettings]:
        shared = {name: getattr(self, name) for name in type(self).model_fields if name in PlotSettings.model_fields}
        return [PlotSettings(**shared, behavior=behavior) for behavior in self.behaviors]
