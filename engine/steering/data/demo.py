"""The demo's own data as steering data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from engine.data import ABItem, Contrast, ContrastPair, Example
from engine.errors import InputError
from engine.steering.data.questions import Questions, SteeringData
from engine.steering.settings import ContrastKind


def load(behavior: str, contrast: ContrastKind | None) -> SteeringData:
    from engine.demo import data

    if behavior not in (*data.BEHAVIORS, *data.CLASS_BEHAVIORS):
        known = ", ".join((*data.BEHAVIORS, *data.CLASS_BEHAVIORS))
        raise InputError(f"The demo data have no behaviour '{behavior}'; choose one of {known}.")
    kinds = _kinds(behavior)
    if contrast is not None and contrast not in kinds:
        raise InputError(f"The demo data have no contrast '{contrast}' of '{behavior}'; give --contrast {' or '.join(kinds)}.")

    def questions(split: Literal["validation", "test"]) -> Questions:
        items = data.ab_items(behavior, split) if behavior in data.AB_BEHAVIORS else []
        return Questions(tuple(items), tuple(data.open_prompts(behavior, split)))

    return SteeringData(_contrast(behavior, contrast or kinds[0]), questions("validation"), questions("test"))


def _kinds(behavior: str) -> tuple[ContrastKind, ...]:
    """The kinds there are, the default first."""
    from engine.demo import data

    if behavior in data.CLASS_BEHAVIORS:
        return ("classes",)
    return ("prompts", "ab") if behavior in data.AB_BEHAVIORS else ("prompts",)


def _contrast(behavior: str, kind: ContrastKind) -> Contrast:
    from engine.demo import data

    if kind == "classes":
        voices = data.voice_classes().items()
        classes = {voice: tuple(Example(f"{voice}-{i:03}", chat) for i, chat in enumerate(chats)) for voice, chats in voices}
        return Contrast(classes, behavior.partition(".")[2])
    if kind == "ab":
        return _letters(data.contrast_pairs(behavior, "letter"))
    paired = Contrast.of_pairs(data.contrast_pairs(behavior, "prompt"))
    if behavior != "refuse":
        return paired
    return Contrast({"harmful": paired.classes["positive"], "harmless": paired.classes["negative"]}, "harmful")


def _letters(pairs: Sequence[ContrastPair]) -> Contrast:
    """Every question with either letter, and as the A/B item that it is: what `--logit` and fine-tuning learn from."""
    from engine.demo import data

    sides: dict[str, list[Example]] = {"positive": [], "negative": []}
    for pair in pairs:
        matching = cast(Literal["A", "B"], pair.positive[-1].content[-1])
        item = ABItem(pair.id, pair.positive[:-1], matching, data.LEAD_INS, data.LETTERS)
        for side, chat in (("positive", pair.positive), ("negative", pair.negative)):
            sides[side].append(Example(pair.id, chat, item))
    return Contrast({side: tuple(examples) for side, examples in sides.items()}, "positive")
