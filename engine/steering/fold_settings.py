"""The settings of `tiller steer fold`. No torch."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from engine.positions import PositionRule
from engine.settings import option
from engine.steering.settings import ApplySettings


class FoldSettings(ApplySettings):
    """Write one cell of a sweep as a model that any server can serve: the options of `apply`, with one multiplier. Those of
    questions and answers change nothing here."""

    step: ClassVar[str] = "steer.fold"
    VERSION: ClassVar[int] = 1

    multipliers: tuple[float, ...] = option((1.0,), "how many times the vector is added: one number", axis=True, min_length=1)
    positions: PositionRule = option("all", "which token positions are steered: weights act on all")

    @model_validator(mode="after")
    def _weights_can_do_it(self) -> Self:
        if len(self.multipliers) > 1 or len(self.control_seed) > 1 or (len(self.layer) > 1 and not self.together):
            raise ValueError(
                "one model holds one cell: give one of --multipliers and of --control-seed, and one --layer or --together"
            )
        if self.positions != "all":
            raise ValueError(
                f"weights act on every token, so --positions {self.positions} cannot be folded: give --positions all, or "
                "steer with hooks (`tiller steer apply`)"
            )
        if self.edit in ("quad", "quadlda", "oracle"):
            what = "the label of what is asked" if self.edit == "oracle" else "more than a rank-one change"
            raise ValueError(
                f"--edit {self.edit} needs {what} and cannot be folded: give --edit none, project, leace, orth or scrub, or "
                "steer with hooks (`tiller steer apply`)"
            )
        if self.edit != "none" and self.site == "stream":
            raise ValueError(
                f"no weight makes the stream, so --edit {self.edit} cannot be folded there: give --site attn, mlp or sublayers"
            )
        if self.quantize is not None:
            raise ValueError("nothing can be folded into quantised weights: leave out --quantize")
        if self.system_prompt != "none":
            raise ValueError("a system prompt is no part of the weights: leave out --system-prompt and send it with requests")
        return self
