"""The settings of `tiller steer finetune`. No torch."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from engine.settings import option
from engine.steering.settings import ContrastKind, ModelSettings

Method = Literal["full", "lora", "qlora"]
Optimizer = Literal["adamw", "sgd"]

_RATES: dict[tuple[Optimizer, bool], float] = {  # by optimizer and whether it is an adapter that is trained
    ("sgd", False): 1e-4,  # the original's
    ("sgd", True): 1e-4,
    ("adamw", False): 2e-5,
    ("adamw", True): 1e-3,
}


class FinetuneSettings(ModelSettings):
    """Train the model to give the letter that shows the behaviour (or the other one), on the A/B questions its vectors are
    made from."""

    step: ClassVar[str] = "steer.finetune"

    behavior: str = option("agree", "the behaviour whose A/B questions are learned")
    contrast: ContrastKind = option("ab", "how the classes are formed; they need letters (ab, abcon)")
    hold_out: int = option(50, "A/B items of a folder's data set kept to choose a layer on, not learned", ge=0)
    sign: Literal["pos", "neg"] = option("pos", "learn the letter that shows the behaviour, or the other one")
    method: Method = option("lora", "train all weights, an adapter, or an adapter on 4-bit weights (on a GPU)")
    layer: int | None = option(None, "train this block only (none: every one, and with full the embeddings too)", ge=0)
    rank: int = option(8, "of an adapter", ge=1)
    optimizer: Optimizer = option("adamw", "adamw, or plain gradient descent (the original's)")
    rate: float | None = option(None, "learning rate (none: sgd 1e-4; adamw 1e-3 for adapters, 2e-5 for weights)", gt=0)
    epochs: int = option(1, "how often every example is shown", ge=1)
    examples: int = option(16, "examples per update", ge=1)
    seed: int = option(0, "of the order of examples and of an adapter's first weights", ge=0)
    name: str | None = option(
        None, "make the result known as artifacts/finetuned/NAME too", affects_result=False, pattern=r"^[A-Za-z][\w.=+-]{0,63}$"
    )
    checkpoint_minutes: float = option(5.0, "how much work a kill may cost", affects_result=False, ge=0)

    @model_validator(mode="after")
    def _weights_fit_the_method(self) -> Self:
        if self.method == "full" and self.quantize is not None:
            raise ValueError("quantised weights cannot be trained themselves: give --method lora, or no --quantize")
        if self.method == "lora" and self.quantize == "4bit":
            raise ValueError("an adapter on 4-bit weights is --method qlora: give that instead of --quantize 4bit")
        if self.method == "qlora" and self.quantize == "8bit":
            raise ValueError("--method qlora has 4-bit weights: give --method lora with --quantize 8bit, or no --quantize")
        if self.dtype == "float16":
            raise ValueError("small gradients vanish in float16: give --dtype bfloat16 or float32")
        return self

    @property
    def weights(self) -> Literal["8bit", "4bit"] | None:
        """How the base model is loaded."""
        return "4bit" if self.method == "qlora" else self.quantize

    @property
    def learning_rate(self) -> float:
        return self.rate if self.rate is not None else _RATES[self.optimizer, self.method != "full"]
