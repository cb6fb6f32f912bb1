"""Choosing the layer to steer, on validation data only: the one where ±1 times the vector moves the behaviour most.

Owns the choice and its record, for each kind of site apart. Where there are A/B items it reads their letters; else it writes
short greedy answers and asks the judge (a chosen layer must be named in a report together with how it was chosen).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from engine.chats import encode_chat
from engine.families import Site, SiteKind
from engine.forward import Steering
from engine.generation import Row, generate
from engine.judges.local import verdicts
from engine.judges.rubric import Rubric
from engine.judges.verdict import Subject
from engine.models import LoadedModel
from engine.progress import Progress, notice
from engine.sampling import Sampling
from engine.steering import ab
from engine.steering.application import prompt_text
from engine.steering.data import Questions

if TYPE_CHECKING:
    from torch import Tensor

RULE = "completion"
_ANSWER_TOKENS = 24


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """`rises[layer]` = mean behaviour at multiplier +1 minus that at −1, over `questions` validation questions."""

    layer: int
    by: Literal["ab", "judge"]
    rises: tuple[float, ...]
    questions: int


Choices = dict[SiteKind, LayerChoice]


def choose_by_letters(model: LoadedModel, vectors: Mapping[Site, Tensor], validation: Questions, batch_size: int) -> Choices:
    """A layer for every kind of site that `vectors` has."""
    sites = sorted(vectors)
    asked = [(arm, item) for item in validation.items for arm in range(2 * len(sites))]
    leads = sum(len(item.lead_ins) for _, item in asked)
    with Progress("choosing a layer: A/B items", leads) as progress:
        records = ab.measure(model, asked, _both_signs(sites, vectors), batch_size, advance=progress.advance)
    by_arm: dict[int, list[float]] = {}
    for (arm, _), record in zip(asked, records, strict=True):
        by_arm.setdefault(arm, []).append(record["p_matching"])
    return _choices(sites, by_arm, "ab", len(validation.items))


def choose_by_judge(
    model: LoadedModel,
    vectors: Mapping[Site, Tensor],
    validation: Questions,
    judge: LoadedModel,
    rubric: Rubric,
    batch_size: int,
) -> Choices:
    """A layer for every kind of site that `vectors` has. An answer that gets no verdict counts half."""
    sites = sorted(vectors)
    rows, exchanges, arms = [], [], []
    for prompt in validation.prompts:
        ids = encode_chat(model.tokenizer, prompt.chat).ids
        rows += [Row(ids, arm=arm) for arm in range(2 * len(sites))]
        arms += range(2 * len(sites))
        exchanges += [prompt_text(prompt.chat)] * (2 * len(sites))
    sampling = Sampling(_ANSWER_TOKENS, temperature=0)
    texts = [""] * len(rows)
    with Progress("choosing a layer: answers", 2 * len(rows)) as progress:
        for index, completion in generate(model, rows, sampling, _both_signs(sites, vectors), batch_size):
            texts[index] = model.decode(completion.ids)
            progress.advance()
        subjects = [Subject(prompt, (text,)) for prompt, text in zip(exchanges, texts, strict=True)]
        by_arm: dict[int, list[float]] = {}
        unanswered = 0
        for index, verdict in verdicts(judge, rubric, subjects, batch_size):
            unanswered += verdict.value is None
            by_arm.setdefault(arms[index], []).append(0.5 if verdict.value is None else verdict.value)
            progress.advance()
    if unanswered:
        notice(f"choosing a layer: the judge gave no answer to {unanswered} of {len(subjects)} answers; they count half")
    return _choices(sites, by_arm, "judge", len(validation.prompts))


def _both_signs(sites: Sequence[Site], vectors: Mapping[Site, Tensor]) -> Steering:
    """Arms −1 and +1 of every site, in that order."""
    return Steering([{site: sign * vectors[site]} for site in sites for sign in (-1, 1)], RULE)


def _choices(sites: Sequence[Site], by_arm: Mapping[int, list[float]], by: Literal["ab", "judge"], questions: int) -> Choices:
    rises: dict[SiteKind, list[float]] = {}  # sites come in the order of their layers
    for number, site in enumerate(sites):
        rises.setdefault(site.kind, []).append(fmean(by_arm[2 * number + 1]) - fmean(by_arm[2 * number]))
    return {
        kind: LayerChoice(max(range(len(found)), key=found.__getitem__), by, tuple(found), questions)
        for kind, found in rises.items()
    }
