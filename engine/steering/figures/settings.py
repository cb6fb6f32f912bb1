"""The settings of the figures: which sweeps are drawn, and how. No torch.

A figure of several behaviours contains the settings of each one's sweep, so that it finds exactly the cells that these name.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from engine.judges.settings import JudgeSettings
from engine.settings import StepSettings, option
from engine.steering.settings import ContrastSettings, ScoreSettings, SweepSettings, VectorSettings

Kind = Literal["ab", "open", "truthfulqa", "mmlu"]
"""What is measured of a behaviour or of knowledge; the cost (perplexity) is drawn beside it wherever it was measured."""
Band = Literal["interval", "quartiles"]


class DrawnSettings(StepSettings):
    """How curves are drawn."""

    band: Band = option("interval", "95 % bootstrap interval of the mean, or the middle half of the prompts (25–75 %)")
    measure: tuple[Kind, ...] = option(
        ("ab", "open", "truthfulqa", "mmlu"), "what is drawn, of what was measured", min_length=1
    )
    legacy_letters: bool = option(False, "as the original: items answered (C) and beyond, where records have them, count 0")


class PlotSettings(DrawnSettings, ScoreSettings):
    """Table and curves of a sweep; with `--control` those of the control vectors beside them."""

    step: ClassVar[str] = "steer.plot"


class SeveralSettings(DrawnSettings, JudgeSettings, SweepSettings, ContrastSettings):
    """Several behaviours' sweeps."""

    behavior: tuple[str, ...] = option(("agree", "refuse"), "the behaviours that are drawn", min_length=1)

    @model_validator(mode="after")
    def _has_no_control(self) -> Self:
        if self.control != "none":
            raise ValueError("--control is drawn by `tiller steer plot` and `report`; leave it away here")
        return self

    def each(self) -> list[PlotSettings]:
        """The settings of every behaviour's sweep."""
        shared = {name: getattr(self, name) for name in PlotSettings.model_fields if name != "behavior"}
        return [PlotSettings(**shared, behavior=behavior) for behavior in self.behavior]


class ReportSettings(DrawnSettings, JudgeSettings, SweepSettings, ContrastSettings):
    """Table and curves of several behaviours' sweeps together; with `--html` one page of everything about them."""

    step: ClassVar[str] = "steer.report"

    behaviors: tuple[str, ...] = option(("agree", "refuse"), "the behaviours to report", min_length=1)
    html: bool = option(False, "write one self-contained page as well, to artifacts/plots", affects_result=False)
    shown: int = option(6, "prompts whose answers stand side by side on the page", ge=0)

    def each(self) -> list[PlotSettings]:
        shared = {name: getattr(self, name) for name in PlotSettings.model_fields if name != "behavior"}
        return [PlotSettings(**shared, behavior=behavior) for behavior in self.behaviors]


class LayersSettings(SeveralSettings):
    """Which layer works, and what it costs: every layer of several behaviours' sweeps."""

    step: ClassVar[str] = "steer.figure.layers"

    at: float = option(1.0, "the multiplier, with either sign, whose effect is drawn over the layers", gt=0)


class BehaviorsSettings(SeveralSettings):
    """The effect of steering on several behaviours, a line each."""

    step: ClassVar[str] = "steer.figure.behaviors"


class SystemsSettings(SeveralSettings):
    """Steering with the behaviour's system prompt, with its opposite's, and with none."""

    step: ClassVar[str] = "steer.figure.systems"


class CategoriesSettings(SeveralSettings):
    """TruthfulQA and MMLU by category, at every multiplier."""

    step: ClassVar[str] = "steer.figure.categories"


def _labelled(models: tuple[str, ...], option_name: str) -> dict[str, str]:
    named = dict(each.split("=", 1) for each in models if "=" in each and each.partition("=")[0])
    if len(named) < len(models):
        raise ValueError(f"{option_name} takes LABEL=MODEL, each label once")
    return named


class FinetuningSettings(SeveralSettings):
    """Steering of fine-tuned models beside that of the model they came from."""

    step: ClassVar[str] = "steer.figure.finetuning"

    models: tuple[str, ...] = option(
        (), "fine-tuned models, each LABEL=FOLDER, steered with --model's vectors", affects_result=False, min_length=1
    )

    @model_validator(mode="after")
    def _has_labels(self) -> FinetuningSettings:
        _labelled(self.models, "--models")
        return self

    def labelled(self) -> dict[str, str]:
        """Label → model, in the order given."""
        return _labelled(self.models, "--models")


class SimilaritySettings(ContrastSettings):
    """How alike vectors are: of layers, of behaviours, of models."""

    step: ClassVar[str] = "steer.figure.similarity"

    behavior: tuple[str, ...] = option(("agree", "refuse", "polite"), "whose vectors are compared", min_length=1)
    layer: tuple[int, ...] = option((), "layers at which behaviours are compared (none: the chosen, else the middle one)")
    site: Literal["stream", "attn", "mlp"] = option("stream", "whose vectors: of the stream, or of attention or MLP outputs")
    standardise: bool = option(False, "subtract each vector's mean and divide by its spread first: Pearson's correlation")
    models: tuple[str, ...] = option((), "compare these models too, each LABEL=MODEL of the same width", affects_result=False)

    @model_validator(mode="after")
    def _has_labels(self) -> SimilaritySettings:
        _labelled(self.models, "--models")
        return self

    def labelled(self) -> dict[str, str]:
        return _labelled(self.models, "--models")

    def of(self, behavior: str, model: str | None = None) -> VectorSettings:
        shared = {name: getattr(self, name) for name in ContrastSettings.model_fields}
        own = {"model": model, "revision": None} if model is not None else {}
        return VectorSettings(**(shared | own), behavior=behavior)


class PcaSettings(ContrastSettings):
    """Saved activations in the plane of their two largest components, by class and letter; and the layers' vectors."""

    step: ClassVar[str] = "steer.figure.pca"

    behavior: tuple[str, ...] = option(("agree", "refuse", "polite"), "whose activations and vectors", min_length=1)
    layer: tuple[int, ...] = option((), "layers (none: the chosen, else the middle one)")
    site: Literal["stream", "attn", "mlp"] = option("stream", "the stream, or attention or MLP outputs")

    def of(self, behavior: str) -> VectorSettings:
        shared = {name: getattr(self, name) for name in ContrastSettings.model_fields}
        return VectorSettings(**shared, behavior=behavior)


class LookSettings(VectorSettings):
    """One prompt through the steered model."""

    prompt: str | None = option(None, "the text of a user's turn (none: a test question of the behaviour)")
    question: int = option(0, "number of the test question, from 0", ge=0)
    answer: str | None = option(None, "the beginning of the model's answer, which it continues")
    layer: int | None = option(None, "the layer that is steered (none: the one chosen with the vectors)")
    multipliers: tuple[float, ...] = option((0.0, 1.0), "how many times the vector is added, each a look", min_length=1)
    positions: Literal["all", "before", "completion", "generated"] = option("completion", "which positions are steered")


class TokensSettings(LookSettings):
    """How far every token's state lies along the vector: of the prompt, and of the model's own answer."""

    step: ClassVar[str] = "steer.show.tokens"

    by: Literal["cosine", "dot"] = option("cosine", "what colours the tokens")
    read_layer: int | None = option(None, "the layer whose states and vector are compared (none: the steered one)")
    max_new_tokens: int = option(24, "longest answer, in tokens", ge=0)


class LensSettings(LookSettings):
    """What the model would say after every step of every block (logit lens)."""

    step: ClassVar[str] = "steer.show.lens"

    position: int = option(-1, "the token whose states are read: from 0, or from the end of the prompt with -1, -2 …")
    top: int = option(5, "likeliest tokens that are told", ge=1, le=50)
