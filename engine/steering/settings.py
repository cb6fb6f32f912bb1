"""The settings of the steering steps: what the command line, the console's form, the keys and the records are all made of.

A later step's settings contain the earlier ones', so each names its inputs by key and nothing is passed on the side. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from engine.judges.settings import JudgeSettings
from engine.positions import PositionRule
from engine.settings import StepSettings, option

ContrastKind = Literal["prompts", "caa", "opencon", "abcon", "ab", "openr", "open", "classes"]
"""How the classes of a contrast are formed, §1.4; `classes` reads k labelled classes, each against the rest."""
EditKind = Literal["none", "project", "orth", "leace", "oracle", "quad", "quadlda", "scrub"]
"""What happens to a state before the vector is added, §3.2 and §4."""
ScrubMethod = Literal["leace", "orth"]
SiteChoice = Literal["stream", "attn", "mlp", "sublayers"]
"""`sublayers`: the outputs of attention and MLP both (the originals' --residual)."""
Asked = Literal["ab", "open", "truthfulqa", "mmlu", "capability"]

SWEEP = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)


class ModelSettings(StepSettings):
    """Which model, on which data. Names and places stay out of keys: the hashes of weights and data stand for them."""

    model: str = option("demo", "'demo', 'demo-base', a model folder, or a hub id", affects_result=False)
    revision: str | None = option(None, "commit, tag or branch of a hub model", affects_result=False)
    quantize: Literal["8bit", "4bit"] | None = option(None, "load the weights quantised")
    dtype: Literal["float32", "bfloat16", "float16"] | None = option(None, "number type (none: the checkpoint's own)")
    device_map: str | None = option(None, "'auto' spreads a model over devices (none: one)", affects_result=False)
    dataset: str = option("demo", "'demo', or a folder in the layout of the CAA data sets", affects_result=False)
    batch_size: int = option(256, "rows per forward pass", affects_result=False, ge=1)


class ContrastSettings(ModelSettings):
    """Which classes of chats are contrasted, and what is made of them."""

    contrast: ContrastKind | None = option(  # the data's hash stands for it: the default and its name are one
        None, "how the classes are formed (none: demo data 'prompts', a folder 'ab')", affects_result=False
    )
    logit: bool = option(False, "of the positives only: how the state moves with the log-odds of the letter (ab, abcon)")
    hold_out: int = option(50, "A/B items of a folder's data set kept to choose the layer on, not in the vectors", ge=0)


class VectorSettings(ContrastSettings):
    """Mean-difference vectors of one behaviour, at every layer."""

    step: ClassVar[str] = "steer.vectors"
    VERSION: ClassVar[int] = 2

    behavior: str = option("agree", "the behaviour whose vector is made ('voices.polite': a class against the others)")

    def vector_settings(self) -> VectorSettings:
        """The part of a later step's settings that names its vectors."""
        return VectorSettings(**{name: getattr(self, name) for name in VectorSettings.model_fields})


class MakeVectorsSettings(ContrastSettings):
    """Vectors of one or more behaviours with one load of the model, at every layer and sublayer."""

    step: ClassVar[str] = "steer.vectors"

    behavior: tuple[str, ...] = option(("agree",), "the behaviours whose vectors are made", min_length=1)
    save_activations: bool = option(False, "keep every activation, for PCA figures and editors", affects_result=False)

    def each(self) -> Iterator[VectorSettings]:
        """The settings of every behaviour's vectors."""
        shared = {name: getattr(self, name) for name in ContrastSettings.model_fields}
        return (VectorSettings(**shared, behavior=behavior) for behavior in self.behavior)


class ImportSettings(StepSettings):
    """Published .pt vectors as a vectors file of ours. Only tensors are read, never code."""

    step: ClassVar[str] = "steer.import"

    paths: tuple[str, ...] = option(..., "files vec*.pt, or folders of them, of one model", positional=True)
    site: Literal["stream", "sublayers"] | None = option(None, "where the vectors belong (none: as the files' names say)")
    layer: int | None = option(None, "the layer of a single vector (none: as its file's name says)", ge=0)


class SweepSettings(StepSettings):
    """What is added, where, how often; and how answers are drawn."""

    site: SiteChoice = option("stream", "steer the stream after a block, or its attention or MLP output, or both of these")
    layer: tuple[int, ...] = option((), "layers, each a sweep of its own (none: the one chosen with the vectors)", axis=True)
    together: bool = option(False, "steer the layers (none given: all) at once, as one sweep")
    multipliers: tuple[float, ...] = option(SWEEP, "how many times the vector is added", axis=True, min_length=1)
    scale: Literal["vector", "activation"] = option(
        "vector", "a multiplier counts lengths of the vector, or of the mean activation at its site"
    )
    normalise_over: tuple[str, ...] = option((), "give the vector the mean norm that these behaviours' have at its layer")
    vector_layer: int | None = option(None, "steer with the vector of this layer, wherever it is added")
    vector_model: str | None = option(None, "steer with another model's vectors (as --model)", affects_result=False)
    vectors_file: str | None = option(
        None, "steer with the vectors in this file (see `tiller steer import`)", affects_result=False
    )
    edit: EditKind = option("none", "before adding: remove or transport the concept (editors: see `tiller steer fit`)")
    scrub_method: ScrubMethod = option("leace", "for --edit scrub: how the concept is erased at each sublayer")
    legacy_edits: bool = option(
        False, "as published: orth leaves states alone where the vector is short, scrub adds half of the vector"
    )
    positions: PositionRule = option(
        "completion",
        "which token positions are steered: all; before the prompt's last token; completion: from that token on; generated: "
        "behind it; from_marker; legacy_before, legacy_after: what published runs with a cache did",
    )
    marker: str | None = option(None, "for --positions from_marker: the text from whose end on to steer")
    system_prompt: Literal["none", "pos", "neg"] = option("none", "put the behaviour's persona line, or its opposite's, before")
    control: Literal["none", "random", "shuffled"] = option(
        "none", "steer instead with random vectors, or with those of shuffled labels, made as long as the vector"
    )
    control_seed: tuple[int, ...] = option((0,), "seeds of the control vectors, each a vector", axis=True, min_length=1)
    questions: tuple[Asked, ...] = option(
        ("ab", "open", "capability"), "what is asked; capability: the perplexity of a text", affects_result=False, min_length=1
    )
    capability_text: str | None = option(None, "a UTF-8 text file for the perplexity (none: one of ours)", affects_result=False)
    limit: int | None = option(None, "only the first so many items, prompts and passages", affects_result=False, ge=1)
    samples: int = option(4, "answers per prompt and multiplier", affects_result=False, ge=1)
    max_new_tokens: int = option(50, "longest answer, in tokens", ge=1)
    temperature: float = option(1.0, "0 takes the likeliest token always", ge=0)
    top_k: int = option(0, "draw among so many likeliest tokens (0: all); applied after the temperature", ge=0)
    top_p: float = option(1.0, "draw among the likeliest tokens of this share; applied after top-k", gt=0, le=1)
    seed: int = option(0, "of the answers; each row draws on its own", ge=0)

    def cells(self) -> Iterator[Self]:
        """One per layer × multiplier (× control vector). Steered together, layers are no axis; without a control no seed
        belongs to the cell."""
        settings = self if self.control != "none" else self.model_copy(update={"control_seed": ()})
        if not self.together:
            yield from super(SweepSettings, settings).cells()
            return
        alone = settings.model_copy(update={"layer": ()})
        for cell in super(SweepSettings, alone).cells():
            yield cell.model_copy(update={"layer": self.layer})


class ApplySettings(SweepSettings, VectorSettings):
    """A sweep of one behaviour's vector."""

    step: ClassVar[str] = "steer.apply"
    VERSION: ClassVar[int] = 3


class ScoreSettings(JudgeSettings, ApplySettings):
    """Judging the answers of a sweep; with `--control random` those of the random vectors too."""

    step: ClassVar[str] = "steer.score"

    def apply_settings(self) -> ApplySettings:
        """The part that names the cells: their keys are those of the `apply` step."""
        return ApplySettings(**{name: getattr(self, name) for name in ApplySettings.model_fields})
