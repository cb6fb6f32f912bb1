"""What is claimed about two models and how a claim is tested: hypotheses, experiments, evidence, and their JSON.

Owns the closed set of measures and what makes an experiment fit to be run. It asks nobody, runs nothing, and loads no numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from engine.cd.pipeline.fields import texts_of
from engine.data_making.parsing import Unfit, text_field

Status = Literal["open", "supported", "refuted", "inconclusive"]
Measure = Literal["contains", "words", "criterion", "divergence"]
MEASURES: Mapping[Measure, str] = {
    "contains": "share of texts that contain one of the phrases, letter case aside",
    "words": "number of words of a text",
    "criterion": "share of texts for which a judge answers yes to a question",
    "divergence": "how much the models' predictions differ on these prompts, against other prompts",
}
"""Patterns are left out on purpose: one written by an assistant may never end."""
Expected = Literal["starting", "comparison", "higher", "lower"]
Kind = Literal["development", "held-out"]

_MODELS: tuple[Expected, ...] = ("starting", "comparison")
_HEIGHTS: tuple[Expected, ...] = ("higher", "lower")

_CLAIM = (8, 400)
_MOST_PHRASES = 8


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is measured, and what the claim predicts.

    expected: the model whose texts have more of it; of `divergence`, whether the prompts have more of it than the controls.
    prompts: where the claim should hold (none: any prompts). controls: of `divergence` (none: all other prompts).
    """

    measure: Measure
    expected: Expected
    phrases: tuple[str, ...] = ()
    criterion: str | None = None
    prompts: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()

    def subject(self) -> str:
        """What two experiments have in common that measure the same thing, wherever they measure it."""
        what = "|".join(sorted(phrase.casefold() for phrase in self.phrases)) or (self.criterion or "").casefold()
        if self.measure == "divergence":
            what = "|".join(sorted(self.prompts))
        return f"{self.measure} {self.expected} {what}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement of an experiment. starting, comparison: the two means; of `divergence`, those on the prompts and on the
    controls. effect: positive as expected, with its 95 % interval. p: None on development prompts, which suggested the claim.
    level: what p had to reach. prompts: how many there were; controls likewise. unread: texts that the judge gave no answer to.
    """

    kind: Kind
    starting: float
    comparison: float
    effect_name: str
    effect: float
    low: float
    high: float
    prompts: int
    controls: int
    texts: int
    unread: int = 0
    p: float | None = None
    level: float | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """`note` says why it has no verdict, where it has none."""

    id: str
    cycle: int
    text: str
    reason: str
    status: Status = "open"
    experiment: Experiment | None = None
    evidence: tuple[Evidence, ...] = ()
    note: str = ""

    @property
    def held_out(self) -> Evidence | None:
        return next((one for one in self.evidence if one.kind == "held-out"), None)

    @property
    def p(self) -> float | None:
        return self.held_out.p if self.held_out else None


def judged(hypothesis: Hypothesis, rejected: bool, smallest_effect: float) -> Hypothesis:
    """The hypothesis with its status: supported where chance is ruled out, refuted where an effect of any note is."""
    found = hypothesis.held_out
    if found is None:
        return replace(hypothesis, status="inconclusive")
    status: Status = "supported" if rejected else "refuted" if found.high < smallest_effect else "inconclusive"
    return replace(hypothesis, status=status)


def experiment_of(record: Mapping[str, Any]) -> Experiment:
    """An experiment as this module's JSON wrote it."""
    lists = {name: tuple(record[name]) for name in ("phrases", "prompts", "controls")}
    return Experiment(**{**record, **lists})


def hypothesis_of(record: Mapping[str, Any]) -> Hypothesis:
    experiment = record["experiment"] and experiment_of(record["experiment"])
    evidence = tuple(Evidence(**one) for one in record["evidence"])
    return Hypothesis(**{**record, "experiment": experiment, "evidence": evidence})


def record_of(one: Hypothesis | Experiment) -> dict[str, Any]:
    return asdict(one)


def read_claim(record: Any) -> tuple[str, str]:
    """A proposed hypothesis: its text and the reason for it."""
    reason = record.get("reason") if isinstance(record, dict) else None
    if reason is not None and not isinstance(reason, str):
        raise Unfit("reason is no text")
    return text_field(record, "claim", *_CLAIM), " ".join((reason or "").split())[:1000]


def read_experiment(record: Any, most_prompts: int) -> Experiment:
    """A designed experiment, or the reason (`Unfit`) why it cannot be run."""
    if not isinstance(record, dict):
        raise Unfit("the experiment is no object")
    measure: Measure | None = next((name for name in MEASURES if name == record.get("measure")), None)
    if measure is None:
        raise Unfit(f"measure is {str(record.get('measure'))[:40]!r}, not one of {', '.join(MEASURES)}")
    allowed = _HEIGHTS if measure == "divergence" else _MODELS
    expected: Expected | None = next((name for name in allowed if name == record.get("expected")), None)
    if expected is None:
        raise Unfit(f"expected is {str(record.get('expected'))[:40]!r}, of {measure} it is one of {', '.join(allowed)}")
    phrases = tuple(texts_of(record, "phrases", _MOST_PHRASES)) if measure == "contains" else ()
    if measure == "contains" and not phrases:
        raise Unfit("contains without phrases")
    criterion = text_field(record, "criterion", *_CLAIM) if measure == "criterion" else None
    prompts = tuple(texts_of(record, "prompts", most_prompts))
    controls = tuple(texts_of(record, "controls", most_prompts)) if measure == "divergence" else ()
    if measure == "divergence" and not prompts:
        raise Unfit("divergence without prompts")
    if set(prompts) & set(controls):
        raise Unfit("a prompt is its own control")
    return Experiment(measure, expected, phrases, criterion, prompts, controls)
