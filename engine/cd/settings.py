"""The settings of what every step of `tiller cd` shares: which two models, what is asked, how their distributions are combined.

S is the starting model, C the comparison model (specs/contrastive_decoding.md). Names of models stay out of keys: hashes of
weights stand for them. Prompts stay out of keys too: a prompt's id is a hash of its text, so more prompts extend a cell. No
torch.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.positions import PositionRule
from engine.settings import StepSettings, option

Rule = Literal["prob_difference", "logprob_difference", "none"]
"""How two next-token distributions make one: §1.1, §1.7, and no combination."""
MemberName = Literal["starting", "comparison"]
Form = Literal["chat", "text"]
Region = Literal["generated", "prompt", "both"]
Quantize = Literal["8bit", "4bit"]


class PairSettings(StepSettings):
    """Which two models, and what only one of them is given."""

    starting: str = option("demo", "the starting model S: 'demo', a model folder, or a hub id", affects_result=False)
    comparison: str = option("demo-base", "the comparison model C, named likewise", affects_result=False)
    starting_revision: str | None = option(None, "commit, tag or branch of a hub model", affects_result=False)
    comparison_revision: str | None = option(None, "likewise, of C", affects_result=False)
    starting_quantize: Quantize | None = option(None, "load the weights of S quantised")
    comparison_quantize: Quantize | None = option(None, "load the weights of C quantised")
    dtype: Literal["float32", "bfloat16", "float16"] | None = option(None, "number type of both (none: the checkpoint's own)")
    starting_device_map: str | None = option(
        None,
        "where S goes: 'auto' spreads it, or a device such as cuda:0 (none: the GPU if there is one)",
        affects_result=False,
    )
    comparison_device_map: str | None = option(None, "where C goes, likewise", affects_result=False)
    interpolate: float | None = option(
        None,
        "before quantising, S becomes (1 - w)·S + w·C, parameter by parameter; above 1 or below 0 it goes beyond one of them",
    )
    legacy_interpolation: bool = option(False, "as published: S becomes w·S + (1 - w)·C, and w = 0 changes nothing")
    starting_prefix: str | None = option(None, "shown to S only, before every prompt (in chats: a system turn)")
    comparison_prefix: str | None = option(None, "shown to C only, likewise")
    comparison_context: Literal["prompt", "last_token"] = option(
        "prompt", "how much of the prompt C sees; last_token: what the paper's own runs did"
    )
    form: Form = option("chat", "prompts are users' turns of a chat, or texts to be continued")
    steered: MemberName | None = option(None, "steer this model with a vector")
    vectors_file: str | None = option(None, "the steering vector's file (see `tiller steer vectors`)", affects_result=False)
    layer: int | None = option(None, "where it is added (none: the layer chosen with the vectors)", ge=0)
    multiplier: float = option(1.0, "how many times the vector is added")
    positions: PositionRule = option("completion", "which positions are steered")
    batch_size: int = option(64, "texts per forward pass of each model", affects_result=False, ge=1)


class MeasureSettings(PairSettings):
    """What is kept of the two models' distributions."""

    renyi_order: float = option(0.5, "order of the Rényi divergence", gt=0)
    legacy_divergence: Literal["auto", "starting", "comparison"] | None = option(
        None, "also the published weighted form, its mean taken under this distribution; weights as for the combination"
    )
    alternatives: int = option(5, "likeliest tokens of both models kept for every token", affects_result=False, ge=0)
    measure_prompt: bool = option(False, "measure the prompt's own tokens too", affects_result=False)


class CombinationSettings(StepSettings):
    """How the two next-token distributions make one."""

    rule: Rule = option(
        "logprob_difference",
        "logprob_difference: contrastive decoding as in the paper; prob_difference: the clipped difference of probabilities; "
        "none: the model with the positive weight alone",
    )
    starting_weight: float = option(1.0, "weight of S; the model with a positive weight is the expert")
    comparison_weight: float = option(-1.0, "weight of C")
    mask: float = option(
        0.1, "logprob_difference: keep tokens that the expert finds at least so likely, relative to its likeliest", ge=0, le=1
    )
    amateur_temperature: float = option(1.0, "logprob_difference: the log-probabilities of the other model over this", gt=0)
    renormalise: bool = option(True, "logprob_difference: make them a distribution again after the temperature")
    floor: float = option(0.0, "prob_difference: added to every token's difference (published: 1e-7)", ge=0)
    limit_top_p: float | None = option(None, "prob_difference: only tokens of S's nucleus of this share", gt=0, le=1)
    gate: float | None = option(
        None,
        "prob_difference: where the models agree fall back to S; larger opens the gate only when they are very alike",
        gt=0,
    )


class DrawSettings(StepSettings):
    """How tokens are chosen from the combined distribution."""

    samples: int = option(4, "texts per prompt", affects_result=False, ge=1)
    max_new_tokens: int = option(40, "longest text, in tokens", ge=1)
    exact_length: bool = option(False, "forbid ending before that length, as published")
    temperature: float = option(1.0, "applied after the combination; 0 takes the likeliest token always", ge=0)
    top_k: int = option(0, "draw among so many likeliest tokens (0: all)", ge=0)
    top_p: float = option(1.0, "draw among the likeliest tokens of this share", gt=0, le=1)
    num_beams: int | None = option(None, "beam search with so many beams instead of drawing; the best `samples` are kept", ge=2)
    beam_groups: int = option(1, "diverse beam search: groups that avoid each other's tokens", ge=1)
    diversity_penalty: float = option(0.0, "diverse beam search: taken off a token for each earlier group that chose it", ge=0)
    length_penalty: float = option(1.0, "beam search: scores are divided by length to this power")
    seed: int = option(0, "of the texts; each draws on its own", ge=0)


class PromptSettings(StepSettings):
    """What is asked. Prompts are known by their text, never by their place."""

    prompt: tuple[str, ...] = option((), "prompts on the command line", affects_result=False)
    prompts: str | None = option(
        None,
        "a file of prompts: .txt (one per line), .csv or .tsv (a column), .jsonl, .json or a folder of these (a key); "
        "'demo' for the demo models'",
        affects_result=False,
    )
    column: str | None = option(None, "of a table: the column's name or number from 1 on", affects_result=False)
    keys: tuple[str, ...] = option((), "of JSON records: the first of these that a record has", affects_result=False)
    limit: int | None = option(None, "only the first so many prompts", affects_result=False, ge=1)
    prompt_tokens: int | None = option(None, "cut prompts to so many tokens", affects_result=False, ge=1)


class TextSettings(DrawSettings, CombinationSettings, MeasureSettings):
    """What decides the texts of two models and the numbers beside them, but for the prompts."""

    step: ClassVar[str] = "cd.decode"

    def text_settings(self) -> TextSettings:
        """The part of a later step's settings that names its texts: their cell."""
        return TextSettings(**{name: getattr(self, name) for name in TextSettings.model_fields})


class DecodeSettings(PromptSettings, TextSettings):
    """Write texts with two models, and measure how their predictions differ at every token."""

    show: bool = option(False, "print the texts coloured by divergence", affects_result=False)
    name: str | None = option(None, "what to call these texts' cell in other commands", affects_result=False)
